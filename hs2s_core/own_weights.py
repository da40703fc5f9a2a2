"""Weights that were trained on this machine, known by their names as the shipped ones are."""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["FOLDER", "name_problem", "own_folder", "own_weights"]

FOLDER = "HS2S_WEIGHTS"
"""Environment variable with another folder for them than ``~/.hs2s/weights``."""
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


def own_folder() -> Path:
    """The folder that has them, ``<name>.safetensors`` each; it need not exist yet."""
    return Path(os.environ.get(FOLDER) or "~/.hs2s/weights").expanduser()


def own_weights() -> dict[str, Path]:
    """Their files by name, in alphabetical order."""
    return {path.stem: path for path in sorted(own_folder().glob("[!.]*.safetensors"))}


def name_problem(name: str, *, overwrite: bool = False) -> str | None:
    """Why weights cannot be stored under ``name``; None if they can."""
    from hs2s_core.models.presets import PRESETS

    if not _NAME.fullmatch(name):
        return f"{name!r} is no name; expected letters, digits, '_', '-' and '.', a letter first"
    if name in PRESETS:
        return f"{name!r} is the name of a preset; choose another"
    if name in own_weights() and not overwrite:
        return f"{name!r} exists ({own_weights()[name]}); choose another name, or overwrite it"
    return None
