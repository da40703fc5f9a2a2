"""A package's front names, each imported when it is first asked for.

So ``import hs2s_core`` costs nothing, and PyTorch is loaded by what needs it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping


def front(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], object], list[str]]:
    """``__getattr__`` and ``__all__`` of ``package``.

    Args:
        package: its ``__name__``.
        homes: front name -> the module in which it lives (``.module`` for one of the package);
            ``.module:name`` where its name is another there.
    """

    def get(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, _, own = homes[name].partition(":")
        value = getattr(importlib.import_module(module, package), own or name)
        setattr(sys.modules[package], name, value)  # once
        return value

    return get, sorted(homes)
