"""Files that are written completely or not at all, and text and JSON of any encoding."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from hs2s_core.errors import HS2SError

_ROOM = 230
"""Bytes of a name that leave room for what is added to it; file systems take 255."""


def hidden_name(path: Path) -> str:
    """What the names of files begin with that are written for ``path`` beside it."""
    name = os.fsencode(path.name)
    if len(name) <= _ROOM:
        return f".{path.name}"
    return f".{hashlib.blake2b(name, digest_size=16).hexdigest()}"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a file to write beside ``path``, which takes its place once it is complete.

    Missing folders are made. After an error what was at ``path`` is as it was. Errors of the
    operating system name ``path``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{hidden_name(path)}.{os.getpid()}.part")
    try:
        yield part
        os.replace(part, path)
    except OSError as error:
        # Writers do not say which file it was, or name the one that is hidden.
        if error.errno is not None and error.filename in (None, str(part)):
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        with suppress(OSError):  # must not hide the error that led here
            part.unlink(missing_ok=True)


@contextmanager
def alone(folder: Path, why: str) -> Iterator[None]:
    """Let no other process of this machine into such a block of the same folder.

    Raises HS2SError, which begins with ``why``, where one is in it.
    """
    # The lock lies where it is in nobody's way.
    locks = Path(tempfile.gettempdir()) / f"hs2s-locks-{getpass.getuser()}"
    locks.mkdir(mode=0o700, exist_ok=True)
    name = hashlib.blake2b(os.fsencode(folder.resolve()), digest_size=16).hexdigest()
    lock = FileLock(locks / name, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise HS2SError(f"{folder}: {why}; wait for it, or give another folder.") from error
    try:
        yield
    finally:
        lock.release()


def read_text(path: Path) -> str:
    """Text in UTF-8, or in UTF-16 with the mark that Windows' editors put in front.

    Raises OSError, or ValueError where it is neither.
    """
    content = path.read_bytes()
    wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    return content.decode("utf-16" if wide else "utf-8-sig")


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON for people to read, completely or not at all."""
    with replacing(path) as part:
        part.write_text(json.dumps(value, indent=2) + "\n")


def read_json(path: str | Path, advice: str, error: type[HS2SError]) -> Any:
    """What a JSON file holds; ``error``, which ends in ``advice``, where it cannot be read."""
    try:
        return json.loads(read_text(Path(path)))
    except (OSError, ValueError) as problem:
        raise error(f"{path}: cannot be read as JSON ({problem}); {advice}") from problem
