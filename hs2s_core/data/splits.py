"""Split files: which of a collection's stills or videos are for what."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from hs2s_core.errors import InvalidDataset

_log = logging.getLogger(__name__)

Names = dict[str, list[str]]
"""Set or folder -> names in it."""
_FORM = "expected {split: {set: [names]}}"


def read_splits(path: str | Path) -> dict[str, Names]:
    """All splits of a JSON file ``{split: {set: [name, ...]}}``.

    Entries of another form, such as notes, are passed over with a warning.

    Raises:
        InvalidDataset: the file cannot be read, or holds no split.
    """
    try:
        splits = json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise InvalidDataset(f"{path}: cannot be read as JSON ({error}); {_FORM}") from error
    if not isinstance(splits, dict):
        raise InvalidDataset(f"{path} holds a {type(splits).__name__}; {_FORM}")
    found = {key: names for key, names in splits.items() if _is_split(names)}
    if not found:
        raise InvalidDataset(f"{path} holds no split; {_FORM}")
    if len(found) < len(splits):
        others = ", ".join(sorted(splits.keys() - found.keys()))
        _log.warning("%s: passed over %s, which is no split; %s", path, others, _FORM)
    return found


def read_split(path: str | Path, key: str) -> Names:
    """One split of such a file.

    Raises:
        InvalidDataset: see :func:`read_splits`; or there is no such split.
    """
    splits = read_splits(path)
    if key not in splits:
        raise InvalidDataset(f"{path} has no split {key!r}; it has {', '.join(splits)}")
    return splits[key]


def _is_split(names: object) -> bool:
    return isinstance(names, dict) and all(_is_list(listed) for listed in names.values())


def _is_list(listed: object) -> bool:
    return isinstance(listed, list) and all(isinstance(name, str) for name in listed)
