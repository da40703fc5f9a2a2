"""The folder of a training run, and the note in it that says which run it is."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from hs2s_core.errors import HS2SError
from hs2s_core.files import replacing
from hs2s_core.training.config import TrainingConfig

NOTE = "run.json"
# What may change when a run goes on: where data lies and how it is read, not what is learned.
_FREE = {"checkpoint_minutes"}
_FREE_DATA = {"root", "splits", "workers", "cache"}


def check_run(out: Path, config: TrainingConfig) -> bool:
    """Whether ``out`` holds a checkpoint of this run, to go on from.

    Raises:
        HS2SError: the folder holds another run, or one that is not noted.
    """
    note = out / NOTE
    started = (out / "last.pt").exists()
    if not started and not note.exists():
        return False
    try:
        stored = json.loads(note.read_text())
    except (OSError, ValueError) as error:
        raise HS2SError(
            f"{out}: holds a run, but not what it was ({note.name}: {error}); choose another "
            "folder with --out."
        ) from error
    described = describe_run(config)
    changed = [key for key in described if stored.get(key) != described[key]]
    if started and changed:
        raise HS2SError(
            f"{out}: holds a run with other settings ({', '.join(changed)}); choose another "
            "folder with --out, or delete this one to start again."
        )
    return started


def claim(out: Path, config: TrainingConfig) -> bool:
    """Note in ``out``, made if absent, which run lives there; returns and raises as `check_run`."""
    started = check_run(out, config)
    out.mkdir(parents=True, exist_ok=True)
    (out / NOTE).write_text(json.dumps(describe_run(config), indent=2) + "\n")
    return started


def describe_run(config: TrainingConfig) -> dict[str, Any]:
    """The settings that decide the result, as they read back from JSON; folders by their name."""
    values = dataclasses.asdict(config)
    values["data"] = {k: v for k, v in values["data"].items() if k not in _FREE_DATA}
    kept = {key: value for key, value in values.items() if key not in _FREE}
    described: dict[str, Any] = json.loads(json.dumps(kept, default=lambda path: path.name))
    return described


def cut_log(path: Path, step: int) -> None:
    """Leave in a run's log the steps that its checkpoint has; those after it are done again."""
    if not path.exists():
        return
    lines = path.read_text().splitlines(keepends=True)
    kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
    if len(kept) < len(lines):
        with replacing(path) as part:
            part.write_text("".join(kept))
