"""How benchmarks are told which labelled videos to take: ``FOLDER`` or ``FOLDER:VIDEO,...``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from hs2s_core.data.folders import open_folder
from hs2s_core.data.videos import VosVideo


def named_videos(words: Iterable[str]) -> Iterator[tuple[str, VosVideo]]:
    """All videos that are meant, each with a name to print."""
    for word in words:
        path, _, names = word.partition(":")
        folder = open_folder(Path(path))
        for name in names.split(",") if names else folder.names:
            yield f"{folder.root.name}/{name}", folder.video(name)
