"""``hs2s train``: a training run from its TOML file to a weights file; repeat it to go on."""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import sys
import time
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hs2s_core.errors import HS2SError, InvalidConfig

if TYPE_CHECKING:
    import torch

    from hs2s_core.training.config import TrainingConfig

_RUN_FILE = "run.json"
# What may change when a run goes on: where data lies and how it is read, not what is learned.
_FREE = {"checkpoint_every"}
_FREE_DATA = {"root", "splits", "workers", "cache"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``hs2s train``."""
    parser.add_argument(
        "--config", type=Path, required=True, metavar="FILE.toml", help="the run, as data"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder of the run: log.jsonl, last.pt and the weights (default: runs/<config name>)",
    )
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:N or mps")
    parser.add_argument(
        "--half", action="store_true", help="store the weights as float16: half the size"
    )


def run(args: argparse.Namespace) -> int:
    """Train to the end, or go on from the last checkpoint, and write the averaged model."""
    config = _read(args.config)
    out = args.out or Path("runs", args.config.stem)
    weights = out / f"{args.config.stem}.safetensors"
    resumed = _claim(out, config)

    import torch

    from hs2s_core.devices import pick_device
    from hs2s_core.training.loop import train
    from hs2s_core.weights import save_weights

    device = pick_device(args.device)
    state = "going on" if resumed else "starting"
    print(f"{state}: {config.steps} steps on {device}; every step is a line of {out}/log.jsonl")
    started = time.perf_counter()
    model = train(config, out, device=device, report=partial(_show_progress, config.steps))
    seconds = time.perf_counter() - started
    card = _card(args.config.stem, config, device)
    save_weights(model, weights, card, torch.float16 if args.half else None)
    print(f"trained for {seconds / 60:.1f} min -> {weights}")
    print(f"use it: hs2s propagate SOURCE MASKS OUT --weights {weights}")
    return 0


def _read(path: Path) -> TrainingConfig:
    from hs2s_core.training.config import read_config

    if not path.is_file():
        raise InvalidConfig(
            f"{path}: no such file; expected a run as TOML, such as those of configs"
        )
    try:
        config = read_config(path)
    except (TypeError, AttributeError) as error:  # a value where a section belongs, or the like
        raise InvalidConfig(
            f"{path}: not a training run ({error}); compare configs/*.toml"
        ) from error
    folders = (folder.path for folder in config.data.folders)
    for place in (config.data.root, config.data.splits, *folders):
        if place is not None and not place.exists():
            raise InvalidConfig(f"{path}: no {place}; set the paths in [data] to your data")
    return config


def _claim(out: Path, config: TrainingConfig) -> bool:
    """Note in ``out`` which run lives there; True if it is this one, with a checkpoint."""
    described = _describe(config)
    note = out / _RUN_FILE
    started = (out / "last.pt").exists()
    if started or note.exists():
        try:
            stored = json.loads(note.read_text())
        except (OSError, ValueError) as error:
            raise HS2SError(
                f"{out}: holds a run, but not what it was ({note.name}: {error}); choose another "
                "folder with --out."
            ) from error
        changed = [key for key in described if stored.get(key) != described[key]]
        if started and changed:
            raise HS2SError(
                f"{out}: holds a run with other settings ({', '.join(changed)}); choose another "
                "folder with --out, or delete this one to start again."
            )
    out.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps(described, indent=2) + "\n")
    return started


def _describe(config: TrainingConfig) -> dict[str, Any]:
    """The settings that decide the result, as they read back from JSON; folders by their name."""
    values = dataclasses.asdict(config)
    values["data"] = {k: v for k, v in values["data"].items() if k not in _FREE_DATA}
    kept = {key: value for key, value in values.items() if key not in _FREE}
    described: dict[str, Any] = json.loads(json.dumps(kept, default=lambda path: path.name))
    return described


def _card(name: str, config: TrainingConfig, device: torch.device) -> dict[str, Any]:
    """What a user of the weights should know; scores are added by whoever measures them."""
    import torch

    data = config.data
    return {
        "name": name,
        "trained": datetime.now(timezone.utc).date().isoformat(),
        "software": f"PyTorch {torch.__version__}, Python {platform.python_version()}",
        "device": _device_name(device),
        "data": {
            "stills": list(data.stills),
            "videos": [folder.path.name for folder in data.folders],
            "note": "the terms of these data sets apply to what is trained on them",
        },
        "recipe": _describe(config),
    }


def _show_progress(steps: int, record: dict[str, Any]) -> None:
    """One line that stays in place, only where somebody watches; validations are kept."""
    if not sys.stderr.isatty():
        return
    left = (steps - record["step"]) * record["seconds"] / 60
    line = f"step {record['step']} of {steps}, loss {record['loss']:.3f}, {left:.0f} min left"
    end = "\n" if "jf" in record or record["step"] == steps else ""
    line += f", J&F {100 * record['jf']:.2f}" if "jf" in record else ""
    print(f"\r{line:<70}", end=end, file=sys.stderr, flush=True)


def _device_name(device: torch.device) -> str:
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} ({platform.machine()}, {torch.get_num_threads()} threads)"
