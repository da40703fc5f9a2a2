"""Split files: which of a collection's stills or videos are for what."""

from __future__ import annotations

import json
from pathlib import Path

from hs2s_core.errors import InvalidDataset

Names = dict[str, list[str]]
"""Set or folder -> names in it."""
_FORM = "expected {split: {set: [names]}}"


def read_splits(path: str | Path) -> dict[str, Names]:
    """All splits of a JSON file ``{split: {set: [name, ...]}}``.

    Raises:
        InvalidDataset: the file cannot be read, or is not of that form.
    """
    try:
        splits = json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise InvalidDataset(f"{path}: cannot be read as JSON ({error}); {_FORM}") from error
    if not isinstance(splits, dict):
        raise InvalidDataset(f"{path} holds a {type(splits).__name__}; {_FORM}")
    for key, names in splits.items():
        if not isinstance(names, dict) or not all(_is_list(listed) for listed in names.values()):
            raise InvalidDataset(f"{path}: split {key!r} is of another form; {_FORM}")
    return splits


def read_split(path: str | Path, key: str) -> Names:
    """One split of such a file.

    Raises:
        InvalidDataset: see :func:`read_splits`; or there is no such split.
    """
    splits = read_splits(path)
    if key not in splits:
        raise InvalidDataset(f"{path} has no split {key!r}; it has {', '.join(splits)}")
    return splits[key]


def _is_list(listed: object) -> bool:
    return isinstance(listed, list) and all(isinstance(name, str) for name in listed)
