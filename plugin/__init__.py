"""HS2S for FiftyOne: the plugin ``@hs2s/vos``, installed as the package ``hs2s_fiftyone``."""

from __future__ import annotations

from typing import Any

from ._bootstrap import ensure_core

ensure_core()

from .operators import OPERATORS  # noqa: E402  (needs hs2s_core on the path)
from .panels import PANELS  # noqa: E402


def register(plugin: Any) -> None:
    """Called by FiftyOne when it loads the plugin."""
    for operator in (*OPERATORS, *PANELS):
        plugin.register(operator)
