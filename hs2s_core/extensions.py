"""What other installed packages add to this one, by their entry points.

This package knows none of them: an entry point of the group :data:`COMMANDS` names a module with
``SUMMARY``, ``EXAMPLES``, ``add_arguments`` and ``run``, like those of
:mod:`hs2s_core.commands`; one of :data:`CHECKS` a list of checks for ``hs2s doctor``.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

__all__ = ["CHECKS", "COMMANDS", "extensions"]

COMMANDS = "hs2s.commands"
"""Group of entry points: commands of ``hs2s``."""
CHECKS = "hs2s.checks"
"""Group of entry points: checks of ``hs2s doctor``."""


def extensions(group: str) -> dict[str, EntryPoint]:
    """Entry points of ``group`` by name, in alphabetical order; none is loaded."""
    return {entry.name: entry for entry in sorted(entry_points(group=group), key=lambda e: e.name)}
