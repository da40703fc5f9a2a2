"""``hs2s synthesize``: clips on disk that the readers take, and a contact sheet."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from hs2s_core.data.folders import open_folder

from .conftest import Run


@pytest.fixture
def stills(tmp_path: Path) -> Path:
    root = tmp_path / "stills"
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        for kind in ("images", "masks"):
            (root / "shapes" / kind).mkdir(parents=True, exist_ok=True)
        ids = np.zeros((80, 120), np.uint8)
        ids[20:60, 30:80] = 1
        rgb = rng.integers(0, 256, (80, 120, 3), dtype=np.uint8)
        Image.fromarray(rgb).save(root / f"shapes/images/{name}.jpg")
        Image.fromarray(ids).save(root / f"shapes/masks/{name}.png")
    return root


def test_clips_are_a_folder_of_videos(run: Run, stills: Path, tmp_path: Path) -> None:
    out, sheet = tmp_path / "clips", tmp_path / "sheet.png"
    options = ["--clips", 3, "--frames", 4, "--size", 64, 96, "--sheet", sheet]
    status, said, _ = run("synthesize", stills, "--out", out, *options)
    assert (status, said) == (0, f"3 clips of 4 frames -> {out}\n")
    folder = open_folder(out, None)
    assert folder.names == ("00000", "00001", "00002")
    assert all(len(video.frames) == 4 for video in folder)
    maps = [folder.video("00001").read_id_map(t) for t in range(4)]
    assert all(id_map is not None and id_map.shape == (64, 96) for id_map in maps)
    picture = np.asarray(Image.open(sheet))
    assert picture.shape[1] > 4 * 200
    again = tmp_path / "again"
    run("synthesize", stills, "--out", again, *options[:-2])
    file = Path("Annotations/00002/00003.png")
    assert (out / file).read_bytes() == (again / file).read_bytes()


def test_one_set_of_png_images_with_black_and_white_masks(
    run: Run, stills: Path, tmp_path: Path
) -> None:
    for image in (stills / "shapes/images").iterdir():
        Image.open(image).save(image.with_suffix(".png"))
        image.unlink()
        mask = stills / "shapes/masks" / f"{image.stem}.png"
        Image.fromarray(np.where(np.asarray(Image.open(mask)), 255, 0).astype(np.uint8)).save(mask)
    out = tmp_path / "clips"
    options = ["--clips", 1, "--frames", 2, "--size", 64, 96]
    status, _, error = run("synthesize", stills / "shapes", "--out", out, *options)
    assert (status, error) == (0, "")
    id_map = open_folder(out, None).video("00000").read_id_map(0)
    assert id_map is not None
    assert id_map.any()


@pytest.mark.parametrize("kind", ["RGB", "RGBA", "16 bits"])
def test_masks_and_images_of_other_modes(run: Run, stills: Path, tmp_path: Path, kind: str) -> None:
    """Regions are cut out of each; a picture of 16 bits is scaled, not clipped to white."""
    for path in sorted((stills / "shapes/masks").iterdir()):
        regions = np.asarray(Image.open(path)) > 0
        image = next((stills / "shapes/images").glob(f"{path.stem}.*"))
        if kind == "16 bits":
            Image.fromarray(regions.astype(np.uint16) * 1000).save(path)
            image.unlink()
            dark = np.full(regions.shape, 40 * 256, np.uint16)
            dark[0, 0] = 65535
            Image.fromarray(dark).save(image.with_suffix(".png"))
        else:
            Image.fromarray(
                np.where(regions[..., None], 255, 0).astype(np.uint8).repeat(3, 2)
            ).convert(kind).save(path)
    options = ["--clips", 4, "--frames", 1, "--size", 64, 96]
    status, _, error = run("synthesize", stills, "--out", tmp_path / "clips", *options)
    assert (status, error) == (0, "")
    videos = open_folder(tmp_path / "clips", None)
    maps = [videos.video(name).read_id_map(0) for name in videos.names]
    assert any(id_map is not None and id_map.any() for id_map in maps)
    if kind == "16 bits":
        frames = [np.asarray(Image.open(videos.video(name).frames[0])) for name in videos.names]
        assert np.median(np.stack(frames)) < 128


def test_a_set_of_empty_masks_is_refused(run: Run, stills: Path, tmp_path: Path) -> None:
    for mask in (stills / "shapes/masks").iterdir():
        Image.fromarray(np.zeros((80, 120), np.uint8)).save(mask)
    status, _, error = run("synthesize", stills, "--out", tmp_path / "clips")
    assert status == 2
    assert "none of 2 masks shows a region" in error
    assert not (tmp_path / "clips").exists()


def test_splits_limit_the_stills(run: Run, stills: Path, tmp_path: Path) -> None:
    splits = tmp_path / "splits.json"
    splits.write_text(json.dumps({"dev": {"shapes": ["b"]}}))
    out = tmp_path / "clips"
    options = ["--clips", 1, "--frames", 2, "--size", 64, 96]
    status, _, _ = run("synthesize", stills, "--out", out, "--splits", splits, "dev", *options)
    assert status == 0
    other = tmp_path / "other"
    status, _, error = run("synthesize", stills, "--out", other, "--splits", splits, "train")
    assert status == 2
    assert "has no split 'train'; it has dev" in error


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "holds a list; expected"),
        ('{"train": {}}', "has no split 'dev'; it has train"),
        ('{"dev": {"shapes": [1]}}', "no split in it"),
        ('{"dev": {"others": ["b"]}}', "no names are given for the stills of shapes"),
    ],
)
def test_a_wrong_split_file_is_refused(
    run: Run, stills: Path, tmp_path: Path, written: str, said: str
) -> None:
    splits = tmp_path / "splits.json"
    splits.write_text(written)
    given = ["--out", tmp_path / "out", "--splits", splits, "dev", "--sets", "shapes"]
    status, _, error = run("synthesize", stills, *given)
    assert status == 2
    assert said in error
    assert len(error.partition("\nMore: ")[0].splitlines()) == 1


def test_refusals(run: Run, stills: Path, tmp_path: Path) -> None:
    status, _, error = run("synthesize", stills, "--out", tmp_path)
    assert status == 2
    assert "exists" in error
    empty = tmp_path / "empty"
    empty.mkdir()
    status, _, error = run("synthesize", empty, "--out", tmp_path / "x")
    assert status == 2
    assert "holds no set of stills" in error
    status, _, error = run("synthesize", stills, "--out", tmp_path / "x", "--seed", -1)
    assert (status, "--seed is -1; expected" in error) == (2, True)
    sheet = tmp_path / "sheet.png"
    sheet.touch()
    for name, said in (("sheet.png", "exists; name a picture"), ("sheet.xyz", "no kind of pict")):
        words = ("--out", tmp_path / "x", "--sheet", tmp_path / name)
        status, _, error = run("synthesize", stills, *words)
        assert (status, said in error) == (2, True)
    assert not (tmp_path / "x").exists()


def test_masks_with_soft_edges_are_refused(run: Run, stills: Path, tmp_path: Path) -> None:
    """White would be void, and the object what smoothing left along its edge."""
    for path in (stills / "shapes/masks").iterdir():
        mask = Image.open(path).convert("L").point(lambda value: 255 * bool(value))
        mask.filter(ImageFilter.GaussianBlur(2)).save(path)
    status, _, error = run("synthesize", stills, "--out", tmp_path / "x", "--clips", 9)
    assert (status, "soft edges" in error) == (2, True)


@pytest.mark.parametrize(
    ("kind", "said"), [("images/a.jpg", "not readable"), ("masks/a.png", "cannot be read")]
)
def test_a_broken_still_is_named(
    run: Run, stills: Path, tmp_path: Path, kind: str, said: str
) -> None:
    file = stills / "shapes" / kind
    file.write_bytes(file.read_bytes()[:90])
    status, _, error = run("synthesize", stills, "--out", tmp_path / "x", "--clips", 9)
    assert status == 2
    assert f"{file.resolve()}: {said} as an image" in error
