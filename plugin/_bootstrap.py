"""Makes ``hs2s_core`` importable however FiftyOne found this plugin."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path


def ensure_core() -> None:
    """Use the installed ``hs2s_core``, else the one that lies beside this folder.

    A clone linked into the plugins folder, or a plugin downloaded by FiftyOne, was never
    pip-installed. The path is appended, never put first, so that nothing gets shadowed.
    """
    if importlib.util.find_spec("hs2s_core") is not None:
        return
    root = Path(__file__).resolve().parent.parent  # resolved: the clone, not the link to it
    if (root / "hs2s_core").is_dir():
        sys.path.append(str(root))
