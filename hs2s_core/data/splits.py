"""Split files: which of a collection's stills or videos are for what."""

from __future__ import annotations

import json
from pathlib import Path

from hs2s_core.errors import InvalidDataset

Names = dict[str, list[str]]
"""Set or folder -> names in it."""


def read_split(path: str | Path, key: str) -> Names:
    """One split of a JSON file ``{split: {set: [name, ...]}}``.

    Raises:
        InvalidDataset: the file cannot be read, is not of that form, or has no such split.
    """
    try:
        splits = json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise InvalidDataset(
            f"{path}: cannot be read as JSON ({error}); expected {{split: {{set: [names]}}}}"
        ) from error
    if not isinstance(splits, dict) or key not in splits:
        there = ", ".join(splits) if isinstance(splits, dict) else f"a {type(splits).__name__}"
        raise InvalidDataset(f"{path} has no split {key!r}; it has {there}")
    names = splits[key]
    if not isinstance(names, dict) or not all(
        isinstance(listed, list) and all(isinstance(name, str) for name in listed)
        for listed in names.values()
    ):
        raise InvalidDataset(f"{path}: split {key!r} is not {{set: [names]}}")
    return names
