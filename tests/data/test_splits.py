"""Lists of videos: names and DAVIS's path pairs, as editors on any system write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from hs2s_core.data.folders import find_annotations, open_folder
from hs2s_core.data.meta import read_meta
from hs2s_core.data.splits import read_names
from hs2s_core.errors import InvalidDataset

from .builders import davis

PAIR = "/JPEGImages/480p/{0}/00000.jpg /Annotations/480p/{0}/00000.png"


@pytest.mark.parametrize(
    "content",
    [
        b"bear\ndogs\n",
        b"\xef\xbb\xbfbear\r\ndogs\r\n",
        "bear\r\ndogs".encode("utf-16"),
        b"# two animals\n\n  bear  \ndogs\nbear\n",
        "\n".join(PAIR.format(name) for name in ("bear", "bear", "dogs")).encode(),
        b"JPEGImages/1080p/bear/00000.jpg\tAnnotations/1080p/bear/00000.png\ndogs/00001\n",
        b"JPEGImages/480p/bear/\nJPEGImages/480p/dogs\n",
        b"JPEGImages\\480p\\bear\\00000.jpg Annotations\\480p\\bear\\00000.png\r\ndogs\\\r\n",
        b"C:\\DAVIS\\JPEGImages\\480p\\bear\\00000.jpg\r\nD:/dogs\r\n",
        b"./bear\n./dogs/\n",
    ],
)
def test_names_of_a_list(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "val.txt"
    path.write_bytes(content)
    assert read_names(path) == ("bear", "dogs")


def test_names_keep_their_spaces(tmp_path: Path) -> None:
    path = tmp_path / "val.txt"
    path.write_text("my dog\nJPEGImages/480p/my dog/00000.jpg Annotations/480p/my dog/00000.png\n")
    assert read_names(path) == ("my dog",)


def test_what_is_no_list_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "val.txt"
    with pytest.raises(InvalidDataset, match=r"val\.txt: cannot be read .*a name per line"):
        read_names(path)
    path.write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(InvalidDataset, match=r"val\.txt: (cannot be read|the name)"):
        read_names(path)


@pytest.mark.parametrize("resolution", ["480p", "1080p", "Full-Resolution"])
def test_every_resolution_of_davis(tmp_path: Path, resolution: str) -> None:
    root = davis(tmp_path)
    for kind in ("JPEGImages", "Annotations"):
        (root / kind / "480p").rename(root / kind / resolution)
    assert open_folder(root).names == ("bear", "dogs")
    assert open_folder(root, "480p/val").names == ("bear",)
    for given in (root, root / "Annotations", root / "Annotations" / resolution):
        assert list(find_annotations(given)) == ["bear", "dogs"]


def test_a_root_of_splits_is_named_as_such(tmp_path: Path) -> None:
    davis(tmp_path / "valid")
    with pytest.raises(InvalidDataset, match="holds the splits valid; give one of these"):
        find_annotations(tmp_path)


def test_metadata_saved_by_a_windows_editor(tmp_path: Path) -> None:
    text = '{"videos": {"a": {"objects": {"1": {"category": "cat"}}}}}'
    for encoding in ("utf-8-sig", "utf-16"):
        (tmp_path / "meta.json").write_text(text, encoding=encoding)
        assert read_meta(tmp_path / "meta.json").objects("a")[1].category == "cat"
