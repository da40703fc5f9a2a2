"""Paths without POSIX assumptions: Windows separators and drives, names in any script."""

from __future__ import annotations

import os
import shutil
import sys
import zipfile
from pathlib import Path, PureWindowsPath
from typing import cast

import numpy as np
import pytest

from hs2s_core import open_frames, read_id_map, write_id_map
from hs2s_core.data.results import videos_root, write_zip, writing_masks
from hs2s_core.data.splits import read_names, safe_name
from hs2s_core.data.videos import VosVideo
from hs2s_core.errors import InvalidDataset, InvalidWeights
from hs2s_core.media.encode import VideoWriter
from hs2s_core.resources import asset
from hs2s_core.training.sources import hold_out
from hs2s_core.weights import read_header

NAME = "Größe 猫 1"


@pytest.mark.parametrize(
    ("layout", "expected"), [("youtube_vos", r"C:\my masks\Annotations"), ("davis", r"C:\my masks")]
)
def test_results_are_placed_by_pathlib(layout: str, expected: str) -> None:
    root = videos_root(cast(Path, PureWindowsPath(r"C:\my masks")), layout)
    assert str(root) == expected


@pytest.mark.parametrize("name", [r"..\secret", r"C:\secret", r"a\b", "a/b", ".."])
def test_names_that_leave_their_folder_on_any_system_are_refused(name: str) -> None:
    with pytest.raises(InvalidDataset, match="not a plain folder name"):
        safe_name(name, "a list")


def test_lists_written_on_windows(tmp_path: Path) -> None:
    (tmp_path / "val.txt").write_bytes(f"\ufeffbear\r\n{NAME}\r\n\r\n".encode())
    assert read_names(tmp_path / "val.txt") == ("bear", NAME)


def test_zips_have_forward_slashes_and_names_as_they_are(tmp_path: Path) -> None:
    write_id_map(tmp_path / "Annotations" / NAME / "00000.png", np.eye(4, dtype=np.uint8))
    write_zip(tmp_path / "out.zip", tmp_path, [tmp_path / "Annotations" / NAME])
    assert zipfile.ZipFile(tmp_path / "out.zip").namelist() == [f"Annotations/{NAME}/00000.png"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' names are text")
def test_names_that_are_no_text(tmp_path: Path) -> None:
    name = os.fsdecode(b"f\xfcr")
    with writing_masks(tmp_path / name) as part:
        write_id_map(part / "0.png", np.eye(4, dtype=np.uint8))
    assert [path.name for path in (tmp_path / name).iterdir()] == ["0.png"]
    frames = (Path("0.jpg"), Path("1.jpg"))
    video = VosVideo(name, frames, {frame.stem: frame for frame in frames}, {})
    assert hold_out([video], number=1) == [name]
    weights = tmp_path / f"{name}.safetensors"
    shutil.copyfile(asset("hs2s-lite.safetensors"), weights)
    with pytest.raises(InvalidWeights, match=r"f\\udcfcr.safetensors' is no UTF-8.*; rename it"):
        read_header(weights)


def test_media_of_any_name(tmp_path: Path) -> None:
    folder = tmp_path / NAME
    write_id_map(folder / f"{NAME}.png", np.eye(4, dtype=np.uint8))
    np.testing.assert_array_equal(read_id_map(folder / f"{NAME}.png"), np.eye(4))
    with VideoWriter(folder / f"{NAME}.mp4", (32, 32), 10.0) as writer:
        writer.write(np.zeros((32, 32, 3), np.uint8))
    assert open_frames(folder / f"{NAME}.mp4").count() == 1
