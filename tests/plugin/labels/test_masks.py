"""Masks as FiftyOne stores them, stretched to their boxes; to the pixel where sizes agree."""

from __future__ import annotations

from pathlib import Path

import cv2
import fiftyone as fo
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from hs2s_core.errors import InvalidMask
from hs2s_fiftyone.labels.masks import binary, fill, paste, read_instance_mask

from ..helpers import SIZE, square


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([(720, 1280), (480, 854), (719, 1279), (37, 53), (160, 240)]),
    st.data(),
)
def test_pasting_undoes_fiftyone_cropping(size: tuple[int, int], data: st.DataObject) -> None:
    height, width = size
    top = data.draw(st.integers(0, height - 1))
    left = data.draw(st.integers(0, width - 1))
    bottom = data.draw(st.integers(top + 1, height))
    right = data.draw(st.integers(left + 1, width))
    mask = np.zeros(size, dtype=np.bool_)
    mask[top:bottom, left:right] = True
    label = fo.Detection.from_mask(mask)
    assert np.array_equal(paste(label.bounding_box, label.mask, size), mask)


@settings(max_examples=100, deadline=None)
@given(st.integers(-14, 54), st.integers(-18, 70), st.integers(0, 2**32 - 1))
@example(-5, 20, 0)  # above
@example(20, -7, 0)  # left
@example(36, 20, 0)  # below
@example(20, 50, 0)  # right
@example(-12, -16, 0)  # outside
def test_what_lies_outside_the_frame_is_cut_off(top: int, left: int, seed: int) -> None:
    """As if the mask were pasted into a larger frame, of which the middle is looked at."""
    margin, (height, width) = 40, (48, 64)
    crop = np.random.default_rng(seed).random((12, 16)) < 0.5
    larger = np.zeros((height + 2 * margin, width + 2 * margin), dtype=np.bool_)
    larger[margin + top :, margin + left :][:12, :16] = crop
    box = [left / width, top / height, 16 / width, 12 / height]
    expected = larger[margin:-margin, margin:-margin]
    assert np.array_equal(paste(box, crop, (height, width)), expected)


def disc(size: tuple[int, int]) -> np.ndarray:
    """An ellipse that fills a mask (h, w)."""
    mask = np.zeros(size, np.uint8)
    centre = (size[1] / 2 - 0.5, size[0] / 2 - 0.5)
    cv2.ellipse(mask, (centre, (size[1], size[0]), 0), 1, -1)
    return mask.astype(bool)


@pytest.mark.parametrize("scale", [0.4, 2.0, 5.03])
def test_a_mask_of_any_size_is_stretched_to_its_box(scale: float) -> None:
    """The App's brush stores masks in pixels of the screen."""
    size = (round(29 * scale), round(27 * scale))
    full = paste([40 / 160, 50 / 120, 27 / 160, 29 / 120], disc(size), (120, 160))
    rows, columns = np.flatnonzero(full.any(1)), np.flatnonzero(full.any(0))
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (50, 78, 40, 66)
    expected = disc((29, 27))
    own = full[50:79, 40:67]
    assert (own & expected).sum() / (own | expected).sum() > 0.9


def test_half_covered_pixels_count() -> None:
    left_half = np.zeros((10, 20), bool)
    left_half[:, :10] = True
    full = paste([0.1, 0.1, 0.5, 0.5], left_half, (10, 10))
    assert np.array_equal(np.flatnonzero(full.any(0)), [1, 2, 3])  # 2.5 pixels from 1 on
    assert np.array_equal(np.flatnonzero(full.any(1)), range(1, 6))


def test_what_is_thinner_than_a_pixel_is_not_lost() -> None:
    hair = np.zeros((50, 50), bool)
    hair[:, 25] = True
    assert paste([0.2, 0.2, 0.5, 0.5], hair, (10, 10)).any()


def test_stretching_cuts_what_lies_outside() -> None:
    full = paste([-0.25, -0.25, 0.5, 0.5], np.ones((40, 40), bool), (20, 20))
    assert np.array_equal(full, square(0, 0, side=5, size=(20, 20)))
    assert not paste([1.5, 0.0, 0.5, 0.5], np.ones((40, 40), bool), (20, 20)).any()


def test_a_mask_of_the_whole_frame_in_a_small_box_is_refused() -> None:
    mask = square(8, 8)
    box = [8 / 96, 8 / 64, 16 / 96, 16 / 64]
    with pytest.raises(InvalidMask, match=r"as large as the whole frame .*from_mask"):
        paste(box, mask, SIZE)
    # A mask that fills a small box, and only happens to be of the frame's size.
    assert np.array_equal(paste(box, np.ones(SIZE, bool), SIZE), mask)
    assert np.array_equal(paste([0, 0, 1, 1], mask, SIZE), mask)


@pytest.mark.parametrize("box", [None, [0, 0, 1], [0, 0, -1, 1], [0, float("nan"), 1, 1]])
def test_a_mask_without_a_box_is_refused(box: list[float] | None) -> None:
    with pytest.raises(InvalidMask, match="bounding box"):
        paste(box, np.ones((4, 4), bool), SIZE)  # type: ignore[arg-type]


def test_pixels_are_told_from_relative_coordinates() -> None:
    """The advice is the one that helps: such a mask is not empty."""
    with pytest.raises(InvalidMask, match=r"it: the bounding box is \[20.*as in pixels"):
        paste([20, 40, 40, 40], np.ones((40, 40), bool), SIZE, "it")
    for corner in (60.0, float("nan")):
        with pytest.raises(InvalidMask, match="it: has points that are not relative"):
            fill([[(0.0, 0.0), (corner, 0.0), (1.0, 1.0)]], SIZE, "it")


SHAPE = np.array([[0, 1], [1, 1]])


@pytest.mark.parametrize(
    "stored",
    [
        SHAPE.astype(bool),
        SHAPE.astype(np.uint8),
        SHAPE.astype(np.uint8) * 255,
        SHAPE * 7,
        SHAPE.astype(np.float32),
        SHAPE * 0.9,
        SHAPE[..., None] * 255,
        np.stack([SHAPE * 200, SHAPE * 10, SHAPE * 0], axis=2),
        np.stack([SHAPE * 0 + 9, SHAPE * 0, SHAPE * 0, SHAPE * 255], axis=2),
        np.stack([SHAPE * 255, SHAPE * 255, SHAPE * 255, SHAPE * 0 + 255], axis=2),
    ],
    ids=["bool", "1", "255", "7", "float", "probability", "channel", "colour", "alpha", "opaque"],
)
def test_masks_are_read_however_they_are_stored(stored: np.ndarray) -> None:
    assert np.array_equal(binary(stored, "it"), SHAPE.astype(bool))


def test_soft_edges_are_cut_at_half() -> None:
    assert np.array_equal(binary(np.array([[0, 60, 128, 255]], np.uint8), "it"), [[0, 0, 1, 1]])
    assert np.array_equal(binary(np.array([[0, 0.3, 0.5, 1.0]]), "it"), [[0, 0, 1, 1]])
    # Small numbers are ids of the parts of one object.
    assert np.array_equal(binary(np.array([[0, 1, 2, 3]], np.uint8), "it"), [[0, 1, 1, 1]])


@pytest.mark.parametrize(
    "stored",
    [
        np.array([[-1.0, 1.0]]),
        np.array([[np.nan, 1.0]]),
        np.array([["a", "b"]]),
        np.ones((2, 2, 7)),
        np.ones(4),
    ],
)
def test_what_is_no_mask_is_refused(stored: np.ndarray) -> None:
    with pytest.raises(InvalidMask, match=r"^it: the mask"):
        binary(stored, "it")


def test_files_are_read_as_they_are(tmp_path: Path) -> None:
    ids = np.array([[0, 7], [7, 0]], np.uint8)
    image = Image.fromarray(ids)
    image.putpalette([200] * 768)
    image.save(tmp_path / "palette.png")
    assert np.array_equal(read_instance_mask(str(tmp_path / "palette.png"), "it"), ids)
    (tmp_path / "torn.png").write_bytes(b"nothing")
    with pytest.raises(InvalidMask, match=r"it: .*torn\.png: cannot be read"):
        read_instance_mask(str(tmp_path / "torn.png"), "it")


def test_areas_need_three_points() -> None:
    triangle = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)]
    filled = fill([triangle, triangle[:2]], SIZE)
    assert filled is not None
    assert filled[1, -2]
    assert fill([triangle[:2], []], SIZE) is None
