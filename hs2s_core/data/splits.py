"""Lists of names: split files of this project, ``ImageSets`` of DAVIS, plain ones."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from hs2s_core.errors import InvalidDataset
from hs2s_core.files import read_json, read_text
from hs2s_core.media.images import IMAGE_SUFFIXES

Names = dict[str, list[str]]
"""Set or folder -> names in it."""
_FORM = "expected {split: {set: [names]}}"
_SUFFIXES = "|".join(map(re.escape, sorted(IMAGE_SUFFIXES)))
_log = logging.getLogger(__name__)


def read_names(path: str | Path) -> tuple[str, ...]:
    """Video names, each once: one a line, or DAVIS-2016's pairs of image and mask paths.

    Empty lines and those that begin with ``#`` are passed over.

    Raises:
        InvalidDataset: the file cannot be read, or lists what is no plain folder name.
    """
    path = Path(path)
    try:
        lines = read_text(path).splitlines()
    except (OSError, ValueError) as error:
        raise InvalidDataset(
            f"{path}: cannot be read ({error}); expected a text file with a name per line."
        ) from error
    listed = (line.strip() for line in lines)
    names = (_name(line, str(path)) for line in listed if line and not line.startswith("#"))
    return tuple(dict.fromkeys(names))


def _name(line: str, where: str) -> str:
    """The video of a line: its text, or the folder of the first path's picture."""
    # Windows' tools write backslashes, and a drive in front; find writes "./".
    entry = line.split("\t")[0].rstrip().replace("\\", "/")
    entry = re.sub(r"^([A-Za-z]:|\.)(?=/)", "", entry)
    if "/" not in entry:
        return safe_name(entry, where)
    # "/JPEGImages/480p/bear/00000.jpg /Annotations/480p/bear/00000.png"; names may have spaces.
    picture = re.match(rf"(.+?({_SUFFIXES}))\s", entry, re.IGNORECASE)
    path = picture[1] if picture else re.split(r"\s+(?=\S*/)", entry)[0]
    parts = path.strip("/").split("/")
    for part in parts:
        safe_name(part, where)
    is_picture = Path(parts[-1]).suffix.lower() in IMAGE_SUFFIXES or parts[-1].isdigit()
    return parts[-2] if is_picture and len(parts) > 1 else parts[-1]


def safe_name(name: str, where: str) -> str:
    """``name`` if it is one plain path component; else ``InvalidDataset``: it could escape.

    ``where`` names the file that lists it.
    """
    plain = name not in ("", ".", "..") and not any(character in name for character in "/\\\0")
    if not plain or Path(name).name != name:  # the latter catches Windows drive letters
        raise InvalidDataset(
            f"{where}: the name {name!r} is not a plain folder name; expected no '/', '..' or "
            "drive letters. Correct the name where it is listed."
        )
    return name


def read_splits(path: str | Path) -> dict[str, Names]:
    """All splits of a JSON file ``{split: {set: [name, ...]}}``.

    Entries of another form (a note, a version) are passed over with a warning.

    Raises:
        InvalidDataset: the file cannot be read, or has no split.
    """
    content = read_json(path, _FORM, InvalidDataset)
    if not isinstance(content, dict):
        raise InvalidDataset(f"{path} holds a {type(content).__name__}; {_FORM}")
    splits = {key: names for key, names in content.items() if _is_split(names)}
    others = ", ".join(repr(key) for key in content if key not in splits)
    if not splits:
        raise InvalidDataset(f"{path}: no split in it (found {others or 'nothing'}); {_FORM}")
    if others:
        _log.warning("%s: %s are no splits and were passed over; %s.", path, others, _FORM)
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


def _is_split(names: object) -> bool:
    return isinstance(names, dict) and all(
        isinstance(listed, list) and all(isinstance(name, str) for name in listed)
        for listed in names.values()
    )
