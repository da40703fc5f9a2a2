"""Small folders of id maps for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from hs2s_core.media.masks import write_id_map

# A machine busy with other work must not fail a property for being slow.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

Videos = Mapping[str, Mapping[str, np.ndarray]]
WriteVideos = Callable[[Path, Videos], Path]


@pytest.fixture
def write_videos() -> WriteVideos:
    """Write ``{video: {frame: id map}}`` below a folder and return the folder."""

    def write(root: Path, videos: Videos) -> Path:
        for video, frames in videos.items():
            for frame, id_map in frames.items():
                write_id_map(root / video / f"{frame}.png", id_map)
        return root

    return write


@pytest.fixture(scope="session")
def jf_data() -> Path:
    """Parity cases: palettised sequences with the official tools' numbers."""
    return Path(__file__).parents[1] / "data" / "jf"
