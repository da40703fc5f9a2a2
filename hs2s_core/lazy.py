"""A package's front names, each imported when it is first asked for.

So ``import hs2s_core`` costs nothing, and PyTorch is loaded by what needs it.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Callable
from pathlib import Path

Front = tuple[Callable[[str], object], Callable[[], list[str]], list[str]]


def front(package: str) -> Front:
    """``__getattr__``, ``__dir__`` and ``__all__`` of the package with this ``__name__``.

    The names are those that its ``__init__.py`` imports below ``if TYPE_CHECKING:``, for type
    checkers at once, for everybody else when they are first used. ``name = other`` there gives
    what was imported as ``other`` its front name.
    """
    tree = ast.parse(Path(str(sys.modules[package].__file__)).read_text(encoding="utf-8"))
    homes: dict[str, tuple[str, str]] = {}
    for node in (node for block in tree.body if isinstance(block, ast.If) for node in block.body):
        if isinstance(node, ast.ImportFrom):
            module = f"{'.' * node.level}{node.module}"
            homes |= {alias.name: (module, alias.name) for alias in node.names}
        elif isinstance(node, ast.Assign):
            homes[ast.unparse(node.targets[0])] = homes.pop(ast.unparse(node.value))

    def get(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, own = homes[name]
        value = getattr(importlib.import_module(module, package), own)
        setattr(sys.modules[package], name, value)  # once
        return value

    def names() -> list[str]:
        """What editors and notebooks offer."""
        return sorted(vars(sys.modules[package]).keys() | homes.keys())

    return get, names, sorted(homes)
