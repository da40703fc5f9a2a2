"""Id maps survive the disk unchanged, and bad masks are refused with advice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from hs2s_core.errors import InvalidMask
from hs2s_core.media import masks
from tests.shapes import save_noise

sizes = st.tuples(st.integers(1, 12), st.integers(1, 12))


def test_palette_is_the_known_one() -> None:
    palette = masks.davis_palette()
    assert palette.shape == (256, 3)
    assert palette.dtype == np.uint8
    known = [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128]]
    assert palette[:5].tolist() == known
    assert palette[255].tolist() == [224, 224, 192]
    assert len(np.unique(palette, axis=0)) == 256


@settings(deadline=None)
@given(hnp.arrays(np.uint8, sizes, elements=st.integers(0, 254)))
def test_palettised_png_keeps_ids(
    tmp_path_factory: pytest.TempPathFactory, ids: np.ndarray
) -> None:
    path = tmp_path_factory.mktemp("ids") / "new" / "00000.png"
    masks.write_id_map(path, ids)
    back = masks.read_id_map(path)
    assert back.dtype == np.uint8
    np.testing.assert_array_equal(back, ids)
    with Image.open(path) as image:
        assert image.mode == "P"
        assert image.getpalette() == masks.davis_palette().ravel().tolist()
    assert [entry.name for entry in path.parent.iterdir()] == ["00000.png"]


def test_many_ids_become_16_bit(tmp_path: Path) -> None:
    ids = np.array([[0, 1, 255], [256, 40_000, 65_535]], dtype=np.int64)
    masks.write_id_map(tmp_path / "a.png", ids)
    back = masks.read_id_map(tmp_path / "a.png")
    assert back.dtype == np.uint16
    np.testing.assert_array_equal(back, ids)
    with pytest.raises(InvalidMask, match="expected 0 to 65535"):
        masks.write_id_map(tmp_path / "b.png", ids + 1)
    assert not (tmp_path / "b.png").exists()


def test_wide_types_with_small_ids_are_palettised(tmp_path: Path) -> None:
    masks.write_id_map(tmp_path / "a.png", np.array([[0, 254]], dtype=np.int32))
    masks.write_id_map(tmp_path / "b.png", np.array([[False, True]]))
    assert masks.read_id_map(tmp_path / "a.png").tolist() == [[0, 254]]
    assert masks.read_id_map(tmp_path / "b.png").tolist() == [[0, 1]]
    assert masks.read_id_map(tmp_path / "a.png").dtype == np.uint8


def test_void_is_background_unless_asked_for(tmp_path: Path) -> None:
    masks.write_id_map(tmp_path / "a.png", np.array([[0, 1, 255]], dtype=np.uint8))
    assert masks.read_id_map(tmp_path / "a.png").tolist() == [[0, 1, 0]]
    assert masks.read_id_map(tmp_path / "a.png", void=None).tolist() == [[0, 1, 255]]
    masks.write_id_map(tmp_path / "b.png", np.array([[0, 255, 255]], dtype=np.uint8))
    assert masks.read_mask_file(tmp_path / "b.png").only_void
    assert not masks.read_mask_file(tmp_path / "a.png").only_void
    assert masks.read_id_map(tmp_path / "b.png").tolist() == [[0, 0, 0]]


def test_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    masks.write_id_map(path, np.array([[1, 2]]))

    def full_disk(self: Image.Image, *args: object, **kwargs: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(Image.Image, "save", full_disk)
    with pytest.raises(OSError, match="No space"):
        masks.write_id_map(path, np.array([[2, 1]]))
    monkeypatch.undo()
    assert masks.read_id_map(path).tolist() == [[1, 2]]
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]


def test_grey_and_one_bit_files_hold_ids(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 3]], dtype=np.uint8)).save(tmp_path / "grey.png")
    Image.fromarray(np.array([[False, True]])).save(tmp_path / "bit.png")
    assert masks.read_id_map(tmp_path / "grey.png").tolist() == [[0, 3]]
    assert masks.read_id_map(tmp_path / "bit.png").tolist() == [[0, 1]]


def save_jpeg(path: Path) -> None:
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(path, format="JPEG")


def save_cut_short(path: Path) -> None:
    masks.write_id_map(path, np.random.default_rng(0).integers(0, 9, (64, 64), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[:900])


@pytest.mark.parametrize(
    ("save", "message"),
    [
        (save_noise, "has 8[01] colours that are not those of object ids"),
        (save_jpeg, "is a JPEG file; expected a PNG"),
        (save_cut_short, "cannot be read as an image"),
        (lambda path: path.write_text("hello"), "cannot be read as an image"),
        (lambda path: path.mkdir(), "no such mask file"),
        (lambda path: None, "no such mask file"),
    ],
)
def test_unusable_files_are_named(tmp_path: Path, save: object, message: str) -> None:
    path = tmp_path / "bad.png"
    save(path)  # type: ignore[operator]
    with pytest.raises(InvalidMask, match=message) as caught:
        masks.read_id_map(path)
    assert "bad.png" in str(caught.value)


@pytest.mark.parametrize("bad", [np.zeros((2, 2, 1), np.uint8), np.zeros((2, 2)), np.zeros((0, 2))])
def test_only_id_maps_are_written(tmp_path: Path, bad: np.ndarray) -> None:
    with pytest.raises(InvalidMask, match="cannot write"):
        masks.write_id_map(tmp_path / "a.png", bad)


@settings(deadline=None)
@given(
    hnp.arrays(st.sampled_from([np.uint8, np.uint16, np.int64]), sizes, elements=st.integers(0, 9))
)
def test_split_objects_partitions_the_foreground(ids: np.ndarray) -> None:
    parts = masks.split_objects(ids)
    assert list(parts) == masks.object_ids(ids) == sorted(set(ids.ravel().tolist()) - {0})
    rebuilt = sum((part * key for key, part in parts.items()), np.zeros_like(ids))
    np.testing.assert_array_equal(rebuilt, ids)


@pytest.mark.parametrize(
    "mask",
    [
        np.array([[True, False, True]]),
        np.array([[255, 0, 255]], dtype=np.uint8),
        np.array([[1.0, 0.0, 1.0]]),
        [[1, 0, 1]],
    ],
)
def test_good_prompts_become_bool(mask: object) -> None:
    checked = masks.check_prompt(mask, (1, 3), name="object 1")  # type: ignore[arg-type]
    assert checked.dtype == np.bool_
    assert checked.tolist() == [[True, False, True]]


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones((2, 3, 1)), r"has shape \(2, 3, 1\); expected \(H, W\) = \(2, 3\)"),
        (np.ones((4, 3)), "the mask is 4 x 3 pixels .* the frame is 2 x 3. Resize"),
        (np.ones((3, 2)), "swapped"),
        (np.zeros((2, 3)), "is empty"),
        (np.full((2, 3), 0.7), "soft mask"),
        (np.full((2, 3), np.nan), "not binary"),
        (np.array([[1, 2, 0], [0, 0, 0]]), "id map"),
        (np.array([[3, 3, 0], [0, 0, 0]]), "id map"),
        (np.full((2, 3), "x"), "holds <U1 values"),
    ],
)
def test_bad_prompts_are_diagnosed(mask: np.ndarray, message: str) -> None:
    with pytest.raises(InvalidMask, match=f"object 7 in frame 0: .*{message}"):
        masks.check_prompt(mask, (2, 3), name="object 7 in frame 0")


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda soft: (255 * soft).astype(np.uint8), "cut it at half its brightness"),
        (lambda soft: (65535 * soft).astype(np.uint16), "cut it at half its brightness"),
        (lambda soft: (100 * soft).astype(np.int64), "cut it at half its brightness"),
        (lambda soft: soft.astype(np.float16), "cut it at a threshold"),
        (lambda soft: np.where(soft > 0.5, np.nan, 0), "cut it at a threshold"),
        (lambda soft: np.where(soft > 0.5, np.inf, 0), "cut it at a threshold"),
        (lambda soft: np.where(soft > 0.5, 3.0, -2.0), "cut it at a threshold"),
        (lambda soft: -(soft > 0.5).astype(int), "cut it at a threshold"),
        (lambda soft: 2 * (soft > 0.5).astype(np.uint8), "take its objects with split_objects"),
    ],
)
def test_a_mask_that_is_not_binary_is_told_what_it_looks_like(
    made: Callable[[np.ndarray], np.ndarray], said: str
) -> None:
    """Soft masks were said to be id maps, of which each grey is an object."""
    rows, columns = np.mgrid[:48, :64]
    soft = np.clip(1.5 - np.hypot(rows - 24, columns - 32) / 16, 0, 1)
    with pytest.raises(InvalidMask, match=said):
        masks.check_prompt(made(soft), (48, 64), name="mask")
