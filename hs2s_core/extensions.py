"""What other installed packages add to this one, by their entry points.

This package knows none of them: an entry point of the group :data:`COMMANDS` names a module with
``SUMMARY``, ``EXAMPLES``, ``add_arguments`` and ``run``, like those of
:mod:`hs2s_core.commands`; one of :data:`CHECKS` a list of checks for ``hs2s doctor``; one of
:data:`LABELS` a module that lets ``hs2s train`` learn from elsewhere: with ``SOURCE`` (the name of
its option that does so), ``OPTIONS`` (those that go with it), ``add_arguments(parser, sources)``,
where ``sources`` are options of which one is given, and ``run``.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points

__all__ = ["CHECKS", "COMMANDS", "LABELS", "extensions"]

COMMANDS = "hs2s.commands"
"""Group of entry points: commands of ``hs2s``."""
CHECKS = "hs2s.checks"
"""Group of entry points: checks of ``hs2s doctor``."""
LABELS = "hs2s.labels"
"""Group of entry points: what else ``hs2s train`` learns from."""


@functools.cache  # as it reads a file of every installed package
def extensions(group: str) -> Mapping[str, EntryPoint]:
    """Entry points of ``group`` by name, in alphabetical order; none is loaded."""
    found = sorted(entry_points(group=group), key=lambda entry: entry.name)
    return {entry.name: entry for entry in found}
