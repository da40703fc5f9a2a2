"""Paths without POSIX assumptions: Windows separators and drives, names in any script."""

from __future__ import annotations

import json
import os
import shutil
import sys
import unicodedata
import zipfile
from pathlib import Path, PureWindowsPath
from typing import cast

import numpy as np
import pytest
from PIL import Image

from hs2s_core import open_frames, read_id_map, write_id_map
from hs2s_core.data.folders import open_folder
from hs2s_core.data.results import videos_root, write_zip, writing_masks
from hs2s_core.data.splits import read_names, safe_name
from hs2s_core.data.videos import VosVideo
from hs2s_core.errors import InvalidDataset, InvalidWeights
from hs2s_core.evaluation import evaluate_folders
from hs2s_core.media.encode import VideoWriter
from hs2s_core.prompts.files import placed_files
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


def test_names_of_any_length(tmp_path: Path) -> None:
    """File systems take 255 bytes, which parts of files must not go beyond."""
    folder = tmp_path / ("猫" * 85)
    name = "é" * 125
    for value in (1, 2):
        with writing_masks(folder) as part:
            write_id_map(part / f"{name}.png", np.full((4, 4), value, np.uint8))
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
    assert read_id_map(folder / f"{name}.png").all()
    with VideoWriter(folder / f"{name}.mp4", (32, 32), 10.0) as writer:
        writer.write(np.zeros((32, 32, 3), np.uint8))
    assert open_frames(folder / f"{name}.mp4").count() == 1


def apart(name: str) -> str:
    """As macOS writes it: letters and their accents one after the other."""
    return unicodedata.normalize("NFD", name)


def test_names_that_look_the_same_are_the_same(tmp_path: Path) -> None:
    """A zip from a Mac has names that no other system writes so."""
    name, frame = "Größe", "é1"
    mask = np.eye(8, dtype=np.uint8)
    for kind, write in (("truth", str), ("found", apart)):
        for place in (frame, "é2", "é3"):
            write_id_map(tmp_path / kind / write(name) / f"{write(place)}.png", mask)
    (tmp_path / "meta.json").write_text(
        json.dumps({"videos": {apart(name): {"objects": {"1": {}}}}})
    )
    table = evaluate_folders(
        tmp_path / "found", tmp_path / "truth", videos=[apart(name)], meta=tmp_path / "meta.json"
    )
    assert not table.failures
    assert len(table.rows) == 3
    images = tmp_path / "root" / "JPEGImages" / name
    images.mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(images / f"{frame}.jpg")
    write_id_map(tmp_path / "root/Annotations" / apart(name) / f"{apart(frame)}.png", mask)
    (video,) = open_folder(tmp_path / "root")
    assert video.first_masks()[0].keys() == {1}
    masks = tmp_path / "root/Annotations" / apart(name)
    assert dict(placed_files(masks, open_frames(images), None)).keys() == {0}


def test_a_folder_that_is_missing_is_told_from_those_that_are_there(tmp_path: Path) -> None:
    for place in ("truth/bear", "found/Bear"):
        write_id_map(tmp_path / place / "00000.png", np.eye(8, dtype=np.uint8))
    (failure,) = evaluate_folders(tmp_path / "found", tmp_path / "truth").failures
    assert "but found Bear" in failure.reason


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
