"""``hs2s train``: a training run from its TOML file to a weights file; repeat it to go on."""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import sys
import time
from collections.abc import Callable
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
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--config", type=Path, metavar="FILE.toml", help="the run, as data")
    source.add_argument(
        "--preset", metavar="NAME", help="the paper's recipe for this preset; needs --data"
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="YouTube-VOS, DAVIS or plain folder to train --preset on",
    )
    parser.add_argument(
        "--split", help="split of --data (YouTube-VOS: train, which is the default)"
    )
    parser.add_argument("--epochs", type=int, help="epochs of --preset (default: 750)")
    parser.add_argument("--batch", type=int, help="clips per step of --preset (default: 16)")
    parser.add_argument(
        "--schedule", choices=("stable", "authors"), help="schedule of --preset (default: stable)"
    )
    parser.add_argument(
        "--precision", choices=("float32", "bfloat16"), help="of --preset (default: float32)"
    )
    parser.add_argument(
        "--backbone",
        metavar="FILE",
        help="ImageNet weights of --preset: a state-dict file, 'none', or torchvision's (default)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder of the run: log.jsonl, last.pt and the weights (default: runs/<name>)",
    )
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:N or mps")
    parser.add_argument(
        "--half", action="store_true", help="store the weights as float16: half the size"
    )
    parser.add_argument(
        "--tensorboard", action="store_true", help="also log for TensorBoard (extra: tensorboard)"
    )


def run(args: argparse.Namespace) -> int:
    """Train to the end, or go on from the last checkpoint, and write the averaged model.

    Under ``torchrun`` every process trains its share of each batch, and the first one writes.
    """
    name = args.preset or args.config.stem
    config = _from_preset(args) if args.preset else _read(args.config)
    out = args.out or Path("runs", name)
    weights = out / f"{name}.safetensors"

    import torch

    from hs2s_core.devices import pick_device
    from hs2s_core.training.loop import train
    from hs2s_core.training.processes import process_group, rank
    from hs2s_core.weights import save_weights

    with process_group(pick_device(args.device)) as device:
        main = rank() == 0
        if main:
            state = "going on" if _claim(out, config) else "starting"
            print(f"{state}: {config.steps} steps on {device}; each is a line of {out}/log.jsonl")
        started = time.perf_counter()
        report = _reporter(config.steps, out if args.tensorboard and main else None)
        model = train(config, out, device=device, report=report)
        seconds = time.perf_counter() - started
        if main:
            card = _card(name, config, device)
            save_weights(model, weights, card, torch.float16 if args.half else None)
            print(f"trained for {seconds / 60:.1f} min -> {weights}")
            print(f"use it: hs2s propagate SOURCE MASKS OUT --weights {weights}")
    return 0


def _from_preset(args: argparse.Namespace) -> TrainingConfig:
    from hs2s_core.data.folders import list_splits
    from hs2s_core.training.recipes import paper_recipe

    if args.data is None:
        raise InvalidConfig("--preset needs --data FOLDER, the labelled videos to train on")
    split = args.split or ("train" if "train" in list_splits(args.data) else None)
    given = {key: getattr(args, key) for key in ("epochs", "batch", "schedule", "precision")}
    settings = {key: value for key, value in given.items() if value is not None}
    backbone = {None: True, "none": False}.get(args.backbone, args.backbone)
    return paper_recipe(
        args.preset, args.data, split=split, pretrained_backbone=backbone, **settings
    )


def _reporter(steps: int, tensorboard: Path | None) -> Callable[[dict[str, Any]], None]:
    """Shows progress, and logs numbers for TensorBoard if a folder is given."""
    if tensorboard is None:
        return partial(_show_progress, steps)
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise HS2SError(
            "TensorBoard is not installed; pip install 'hs2s-fiftyone[tensorboard]', or leave "
            "out --tensorboard"
        ) from error
    writer = SummaryWriter(str(tensorboard))

    def report(record: dict[str, Any]) -> None:
        for key, value in record.items():
            if key != "step":
                writer.add_scalar(key, value, record["step"])
        _show_progress(steps, record)

    return report


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
