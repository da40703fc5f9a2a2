"""What was computed of short videos is kept in a folder, so that a correction costs little.

It is a cache: whatever is missing in it is computed again, with the same result to the last bit.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from hs2s_core.errors import HS2SError
from hs2s_core.media.frames import ImageFrames

if TYPE_CHECKING:
    from hs2s_core.media import FrameSource
    from hs2s_core.prompts import Prompts
    from hs2s_core.propagation.clip import ClipSettings, Step
    from hs2s_core.propagation.network import NetworkEngine

CACHE = "HS2S_CACHE"
"""Environment variable with the folder of the cache, by default ~/.cache/hs2s."""
LONGEST = 2000
"""Frames of the longest video that is kept."""
LIMIT = 2 * 2**30
"""Bytes of all that is kept; what was used least lately makes room."""
SPARE = 2**30
"""Bytes that the disk must have free, or nothing more is kept."""


def cache_folder() -> Path:
    """Where sessions are kept."""
    return Path(os.environ.get(CACHE) or Path.home() / ".cache" / "hs2s") / "sessions"


@contextmanager
def kept_steps(
    engine: NetworkEngine,
    frames: FrameSource,
    masks: Prompts,
    wanted: ClipSettings,
    key: str | None,
) -> Iterator[Iterator[Step]]:
    """The steps of a video, of which those are read that an earlier run under ``key`` made.

    None is for a video of which nothing is to be kept. Nor is anything where only some frames are
    ``wanted``.
    """
    from hs2s_core.propagation.clip import clip_steps
    from hs2s_core.propagation.session import VERSION, Session, identify

    model = engine.given
    with ExitStack() as stack:
        session = None
        if key is not None and wanted.last is None and len(frames) <= LONGEST:
            kind = (type(model).__qualname__, model.config, model.speed, engine.device)
            about = (
                VERSION,
                identify(engine, frames.at(0)),
                *map(str, kind),
                _stamp(frames),
                wanted,
            )
            name = f"{key}.{blake2b(repr(about).encode(), digest_size=8).hexdigest()}"
            try:  # it may be in use elsewhere, or not to be written at all
                _make_room(cache_folder(), name)
                session = stack.enter_context(
                    Session(cache_folder() / name, engine, settings=wanted)
                )
            except (HS2SError, OSError):
                session = None
        if session is None:
            yield clip_steps(engine, frames, masks, wanted)
        else:
            session.correct(masks)
            yield session.run(frames)


def _stamp(frames: FrameSource) -> list[tuple[int, int]]:
    """Size and time of every file that frames are read from."""
    files = frames.files if isinstance(frames, ImageFrames) else [Path(frames.description)]
    return [(entry.st_size, entry.st_mtime_ns) for entry in (file.stat() for file in files)]


def _make_room(root: Path, name: str) -> None:
    """Remove what was used least lately; raises OSError where there is too little room even so."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    (root / name).mkdir(exist_ok=True)
    os.utime(root / name)
    # A session that is open elsewhere was used just now, and so comes last.
    folders = sorted(root.iterdir(), key=lambda folder: folder.stat().st_mtime, reverse=True)
    total = 0
    for folder in folders:
        total += sum(file.stat().st_size for file in folder.rglob("*"))
        if total > LIMIT and folder.name != name:
            shutil.rmtree(folder, ignore_errors=True)
    if shutil.disk_usage(root).free < SPARE:
        raise OSError("too little room")
