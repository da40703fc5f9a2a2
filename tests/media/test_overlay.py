"""Masks over frames, and contact sheets."""

from __future__ import annotations

import numpy as np
import pytest

from hs2s_core.errors import InvalidMask
from hs2s_core.media.overlay import (
    Row,
    contact_sheet,
    draw_masks,
    enlarge,
    enlarge_ids,
    object_colour,
)

GREY = np.full((12, 16, 3), 100, np.uint8)


def square() -> np.ndarray:
    id_map = np.zeros((12, 16), np.uint8)
    id_map[2:8, 3:9] = 2
    return id_map


def test_background_stays_and_the_frame_too() -> None:
    frame, id_map = GREY.copy(), square()
    drawn = draw_masks(frame, id_map)
    assert np.array_equal(drawn[id_map == 0], frame[id_map == 0])
    assert np.array_equal(frame, GREY)
    assert drawn.dtype == np.uint8


def test_outline_is_opaque_and_the_inside_a_mixture() -> None:
    drawn = draw_masks(GREY, square(), opacity=0.25)
    colour = np.array(object_colour(2))
    assert np.array_equal(drawn[2, 3], colour)
    assert np.array_equal(drawn[4, 5], np.rint(0.75 * 100 + 0.25 * colour))


def test_a_mask_over_the_whole_frame_has_no_outline() -> None:
    drawn = draw_masks(GREY, np.ones((12, 16), np.uint8), opacity=0.0)
    assert np.array_equal(drawn, GREY)


def test_touching_objects_are_both_outlined() -> None:
    id_map = np.ones((12, 16), np.uint8)
    id_map[:, 8:] = 2
    drawn = draw_masks(GREY, id_map, opacity=0.0)
    assert np.array_equal(drawn[5, 7], object_colour(1))
    assert np.array_equal(drawn[5, 8], object_colour(2))
    assert np.array_equal(drawn[5, 4], GREY[5, 4])


def test_large_ids() -> None:
    id_map = square().astype(np.uint16) * 30000
    drawn = draw_masks(GREY, id_map)
    assert np.array_equal(drawn[2, 3], object_colour(60000))


def test_neighbouring_ids_differ() -> None:
    assert len({object_colour(object_id) for object_id in range(1, 9)}) == 8


def test_sizes_must_agree() -> None:
    with pytest.raises(InvalidMask, match="expected the same size"):
        draw_masks(GREY, square()[:-1])


def test_enlarging_keeps_frame_and_ids_together() -> None:
    assert enlarge(GREY, 3).shape == (36, 48, 3)
    larger = enlarge_ids(square(), 3)
    assert larger.shape == (36, 48)
    assert np.array_equal(larger[::3, ::3], square())
    assert (larger == 2).sum() == 9 * (square() == 2).sum()


def test_contact_sheet_holds_every_picture() -> None:
    pictures = [np.full((20, 30, 3), value, np.uint8) for value in (60, 120, 180)]
    rows = [
        Row("one", pictures, ["a", "b", "c"]),
        Row("two", pictures[:2], ["d", "e"]),
    ]
    sheet = contact_sheet(rows)
    assert sheet.shape[1] >= 3 * 30
    for value, times in ((60, 2), (120, 2), (180, 1)):
        pixels = (sheet == value).all(axis=2).sum()
        assert times * 600 <= pixels < times * 600 + 50
