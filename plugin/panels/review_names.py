"""Short names for the rows of the panel's heat map."""

from __future__ import annotations

from collections.abc import Mapping
from os.path import commonprefix

_LONGEST = 28
_TAIL = 8
_CONTEXT = 3
"""Characters shown before the first that tells names apart."""


def row_labels(names: Mapping[str, str]) -> dict[str, str]:
    """Short names, no two alike, by video."""
    labels = _shorten(names)
    taken: set[str] = set()
    for video, short in labels.items():
        label, copy = short, 1
        while label in taken:
            copy += 1
            label = f"{short} ({copy})"
        taken.add(label)
        labels[video] = label
    return labels


def _shorten(names: Mapping[str, str]) -> dict[str, str]:
    """Cut the middle out of long names; where that tells them apart, their common start instead."""
    groups: dict[str, dict[str, str]] = {}
    for video, name in names.items():
        short = name
        if len(name) > _LONGEST:
            short = f"{name[: _LONGEST - _TAIL - 1]}…{name[-_TAIL:]}"
        groups.setdefault(short, {})[video] = name
    labels: dict[str, str] = {}
    for short, alike in groups.items():
        start = len(commonprefix(list(alike.values()))) - _CONTEXT  # noqa: RUF071  (as meant)
        if start > 1 and len(set(alike.values())) > 1:
            labels |= _shorten({video: f"…{name[start:]}" for video, name in alike.items()})
        else:
            labels |= dict.fromkeys(alike, short)
    return {video: labels[video] for video in names}
