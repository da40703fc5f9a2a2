"""HS2S for FiftyOne: the plugin ``@hs2s/vos``, installed as the package ``hs2s_fiftyone``."""

from __future__ import annotations

from typing import Any

from ._bootstrap import ensure_core

ensure_core()


def register(plugin: Any) -> None:
    """Called by FiftyOne when it loads the plugin."""
    # Here, so that the package's commands answer without waiting for FiftyOne.
    from .operators import OPERATORS
    from .panels import PANELS

    for operator in (*OPERATORS, *PANELS):
        plugin.register(operator)
