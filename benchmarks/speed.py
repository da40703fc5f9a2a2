"""The networks' speed beside the paper's network as its authors define it, in one run.

    python benchmarks/speed.py [--presets hs2s-lite hs2s] [--size 480 854] [--objects 1 5]
    python benchmarks/speed.py --options                 # what each optimisation of hs2s brings

Random weights and noise frames: speed does not depend on them. A step is all that
``Propagator.step`` does (resize, network, merge at the frame's size), not decoding. Rounds are
interleaved and the fastest counts: on one thread in processor time, so that ratios hold on a busy
machine. The definition is benchmarks/authors_network.py, at 256 x 448 as the authors run it.
"""

from __future__ import annotations

import argparse
import itertools
import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from authors_network import AuthorsHS2S
from torch import nn

from hs2s_core.devices import half_precision, pick_device, use_threads
from hs2s_core.models import build_model, packed
from hs2s_core.models.inference import SPEEDS, choose_pace, for_inference
from hs2s_core.models.presets import preset
from hs2s_core.propagation import Propagator
from hs2s_core.propagation.network import NetworkEngine

Step = Callable[[], object]
INNER = (256, 448)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--presets", nargs="+", default=["hs2s-lite", "hs2s"])
    parser.add_argument("--speeds", nargs="+", default=["exact", "fast"], choices=SPEEDS)
    parser.add_argument("--options", action="store_true", help="each optimisation of --presets")
    parser.add_argument("--size", type=int, nargs=2, default=[480, 854])
    parser.add_argument("--objects", type=int, nargs="+", default=[1])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--no-authors", action="store_true", help="compare with the first row")
    arguments = parser.parse_args()
    device = pick_device(arguments.device)
    use_threads(arguments.threads)
    _, instructions = half_precision(device)
    print(f"{processor(device)}; {instructions} (bfloat16 or float16)")
    print(f"{arguments.threads} threads, torch {torch.__version__}, {arguments.rounds} rounds\n")
    steps: dict[str, Step] = {}
    if not arguments.no_authors:
        steps["the authors' definition, 1 object"] = authors_step(device)
    for name in arguments.presets:
        if arguments.options:
            steps |= option_steps(name, device)
            continue
        for speed in arguments.speeds:
            for objects in arguments.objects:
                why = choose_pace(speed, preset(name), device).why
                row = f"{name}, {speed} ({why}), {objects} object{'s' * (objects > 1)}"
                steps[row] = propagator_step(name, speed, objects, tuple(arguments.size), device)
    report(steps, arguments.rounds, device, cpu_time=arguments.threads == 1)


def report(steps: dict[str, Step], rounds: int, device: torch.device, cpu_time: bool) -> None:
    """Time all in turn; print the fastest of each, and how many times the first one's speed."""
    clock = time.process_time if cpu_time and device.type == "cpu" else time.perf_counter
    best = dict.fromkeys(steps, float("inf"))
    for place in range(rounds + 1):
        for name, step in steps.items():
            start = clock()
            step()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if place:  # the first round packs weights
                best[name] = min(best[name], clock() - start)
    base = next(iter(best.values()))
    print("| network | ms a frame | times the first row's speed |\n|---|---|---|")
    for name, seconds in best.items():
        print(f"| {name} | {1000 * seconds:.1f} | {base / seconds:.2f} |")


def authors_step(device: torch.device) -> Step:
    """One frame of the definition, in eager float32."""
    network = made(AuthorsHS2S, device)
    frame, mask = torch.randn(1, 3, *INNER, device=device), torch.rand(1, 1, *INNER, device=device)

    @torch.inference_mode()
    def step(state: list[tuple[torch.Tensor, ...]] = []) -> object:  # noqa: B006
        if not state:
            state.append(network.begin(frame, mask))
        logits, state[0] = network(frame, frame, mask, state[0])
        return logits.sigmoid()

    return step


def propagator_step(
    name: str, speed: str, objects: int, size: tuple[int, int], device: torch.device
) -> Step:
    """One frame as the command line and the App propagate it."""
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    numbers = itertools.count()

    def frame() -> np.ndarray:
        # A new one each time: what was seen of a frame is at hand when the same one comes again.
        noise[:64, :64] = next(numbers) % 256
        return noise

    propagator = Propagator(NetworkEngine(made(lambda: build_model(name), device), speed))
    propagator.step(frame(), masks(objects, *size))
    return lambda: propagator.step(frame())


def option_steps(name: str, device: torch.device) -> dict[str, Step]:
    """The network alone, at its own size: each optimisation by itself, then all together."""
    half, _ = half_precision(device)
    steps = {
        f"{name} as defined": network_step(name, device, lambda model: model),
        "channels last": network_step(
            name, device, lambda model: model.to(memory_format=torch.channels_last)
        ),
        "norms folded, channels last": network_step(name, device, without(packs=False)),
        "and weights packed": network_step(name, device, without(tiles=False)),
        "and 5 x 5 in tiles (exact)": network_step(name, device, for_inference),
    }
    if half is not None:
        steps[f"{half}, channels last, norms folded"] = network_step(
            name, device, without(packs=False, dtype=half), half
        )
        steps["and weights packed (fast)"] = network_step(
            name, device, lambda model: for_inference(model, half), half
        )
    return steps


def without(
    *, packs: bool = True, tiles: bool = True, dtype: torch.dtype | None = None
) -> Callable[[nn.Module], nn.Module]:
    """:func:`for_inference` less what is False."""

    def make(model: nn.Module) -> nn.Module:
        from hs2s_core.models import inference

        kept = inference.can_pack, packed.tiled
        if not packs:
            inference.can_pack = lambda *_: False
        if not tiles:
            packed.tiled = lambda _: False
        try:
            return for_inference(model, dtype)
        finally:
            inference.can_pack, packed.tiled = kept

    return make


def network_step(
    name: str,
    device: torch.device,
    make: Callable[[nn.Module], nn.Module],
    dtype: torch.dtype = torch.float32,
) -> Step:
    """One step of a network that ``make`` readies, one object, without what is around it."""
    model = make(made(lambda: build_model(name), device))
    owner = torch.zeros(1, dtype=torch.int64, device=device)
    frame = torch.randn(1, 3, *model.config.input_size, device=device).to(
        dtype, memory_format=torch.channels_last
    )
    mask = torch.rand(1, 1, *model.config.input_size, device=device).to(dtype)
    states: list[object] = []

    @torch.inference_mode()
    def step() -> object:
        features = model.encode(frame)
        if not states:
            states.append(model.begin(features, mask, owner))
        output, states[0] = model.step(features, mask, states[0], owner)
        return output.logits.sigmoid()

    return step


@torch.no_grad()
def made(build: Callable[[], nn.Module], device: torch.device) -> nn.Module:
    """A network of small random weights, without the long start of drawing them as for training."""
    with torch.device("meta"):
        model = build()
    model.to_empty(device=device).eval()
    for weight in model.parameters():
        weight.uniform_(-0.02, 0.02)
    for buffer in model.buffers():
        buffer.fill_(1)
    return model


def masks(objects: int, height: int, width: int) -> dict[int, np.ndarray]:
    """Boxes beside each other."""
    drawn = {}
    for number in range(objects):
        left = width * number // objects
        drawn[number + 1] = np.zeros((height, width), bool)
        drawn[number + 1][height // 4 : height // 2, left : left + width // (objects + 1)] = True
    return drawn


def processor(device: torch.device) -> str:
    """The device's name, and its instruction set."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    lines = Path("/proc/cpuinfo")
    names = (
        [x for x in lines.read_text().split("\n") if "model name" in x] if lines.is_file() else []
    )
    name = names[0].split(":")[1].strip() if names else platform.processor()
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"


if __name__ == "__main__":
    main()
