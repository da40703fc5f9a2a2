"""Makes ``hs2s_core`` and ``hs2s_fiftyone`` importable however FiftyOne found this plugin."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

NAME = "@hs2s/vos"
"""What FiftyOne calls this plugin."""
_PACKAGE = "hs2s_fiftyone"


def ensure_core() -> None:
    """Use what is installed, else what lies beside this folder.

    A clone linked into the plugins folder, or a plugin downloaded by FiftyOne, was never
    pip-installed. The path is appended, never put first, so that nothing gets shadowed.
    """
    if importlib.util.find_spec("hs2s_core") is None:
        root = Path(__file__).resolve().parent.parent  # resolved: the clone, not the link to it
        if (root / "hs2s_core").is_dir():
            sys.path.append(str(root))
    if importlib.util.find_spec(_PACKAGE) is None:
        # FiftyOne stores the import path of an evaluation's classes with the dataset.
        add_alias(_PACKAGE, __name__.rpartition(".")[0])


def add_alias(name: str, package: str) -> None:
    """Let ``import <name>.x`` give the very module ``<package>.x``."""
    # First, or the package's own path would give a second copy of each module.
    sys.meta_path.insert(0, _Alias(name, package))


class _Alias(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the modules of a package under a second name."""

    def __init__(self, name: str, package: str) -> None:
        self._name = name
        self._package = package
        self._specs: dict[str, ModuleSpec | None] = {}

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != self._name and not name.startswith(f"{self._name}."):
            return None
        return ModuleSpec(name, self)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(self._package + spec.name[len(self._name) :])
        self._specs[spec.name] = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # The module has run already under its own name; the import system has only put the
        # alias's spec in place of its own.
        alias = module.__spec__
        if alias is not None:
            module.__spec__ = self._specs.pop(alias.name, alias)
