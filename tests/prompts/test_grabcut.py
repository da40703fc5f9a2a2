"""Masks from boxes and points on pictures whose objects are known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from hs2s_core.errors import HS2SError
from hs2s_core.media.images import RGBImage
from hs2s_core.media.masks import BoolMask
from hs2s_core.prompts.grabcut import draw, mend
from hs2s_core.prompts.hints import Hint

SIZE = (120, 160)


def disk(x: int, y: int, radius: int) -> BoolMask:
    picture = np.zeros(SIZE, np.uint8)
    cv2.circle(picture, (x, y), radius, 1, -1)
    return picture > 0


LEFT, RIGHT = disk(50, 60, 25), disk(110, 60, 18)


@pytest.fixture
def picture() -> RGBImage:
    """Two reddish disks before bluish noise."""
    noise = np.random.default_rng(0).integers(0, 50, (*SIZE, 3))
    colours = np.where((LEFT | RIGHT)[..., None], (180, 60, 50), (40, 70, 150))
    return (colours + noise).astype(np.uint8)


def iou(one: BoolMask, other: BoolMask) -> float:
    return np.count_nonzero(one & other) / np.count_nonzero(one | other)


def test_a_box_becomes_the_object_in_it(picture: RGBImage) -> None:
    mask = draw(picture, Hint((25, 35, 76, 86)))
    assert iou(mask, LEFT) > 0.95
    assert np.array_equal(mask, draw(picture, Hint((25, 35, 76, 86))))  # every time


def test_pictures_larger_than_what_is_looked_at(picture: RGBImage) -> None:
    large = cv2.resize(picture, (800, 600), interpolation=cv2.INTER_NEAREST)
    mask = draw(np.asarray(large), Hint((125, 175, 380, 430)))
    truth = cv2.resize(LEFT.astype(np.uint8), (800, 600), interpolation=cv2.INTER_NEAREST) > 0
    assert iou(mask, truth) > 0.9


def test_points_choose_among_what_a_box_holds(picture: RGBImage) -> None:
    box = (20.0, 30.0, 135.0, 90.0)
    assert iou(draw(picture, Hint(box)), LEFT | RIGHT) > 0.9
    one = draw(picture, Hint(box, ((50, 60),), tuple((110, y) for y in range(44, 78, 2))))
    assert one[60, 50]
    assert not one[44:78, 110].any()


def test_points_alone(picture: RGBImage) -> None:
    mask = draw(picture, Hint(None, ((50, 60),)))
    assert iou(mask, LEFT) > 0.9
    assert not (mask & RIGHT).any()


def test_where_colours_tell_nothing_it_is_the_ellipse() -> None:
    grey = np.full((*SIZE, 3), 90, np.uint8)
    mask = draw(grey, Hint((40, 20, 100, 100)))
    assert np.count_nonzero(mask) == pytest.approx(np.pi / 4 * 60 * 80, rel=0.05)


def test_a_box_at_the_edge_and_a_whole_frame(picture: RGBImage) -> None:
    for box in ((0, 0, 160, 120), (0, 0, 1, 1), (159.5, 119.2, 160, 120)):
        mask = draw(picture, Hint(tuple(map(float, box))))  # type: ignore[arg-type]
        assert mask.any()
        inside = np.zeros(SIZE, bool)
        inside[int(box[1]) : int(np.ceil(box[3])), int(box[0]) : int(np.ceil(box[2]))] = True
        assert not (mask & ~inside).any()


def test_points_inside_add_and_points_outside_take_away(picture: RGBImage) -> None:
    half = LEFT.copy()
    half[:, :45] = False
    added = mend(picture, half, Hint(None, ((35, 60),)))
    assert iou(added, LEFT) > 0.95 > iou(half, LEFT)
    taken = mend(picture, LEFT | disk(50, 95, 15), Hint(None, (), ((50, 100),)))
    assert iou(taken, LEFT) > 0.9 > iou(LEFT | disk(50, 95, 15), LEFT)


def test_far_from_the_points_a_mask_stays(picture: RGBImage) -> None:
    wrong = LEFT | disk(140, 20, 8)
    mended = mend(picture, wrong, Hint(None, (), ((50, 60),)))
    assert np.array_equal(mended[:, 100:], wrong[:, 100:])
    assert not mended[60, 50]


def test_an_object_that_was_lost_is_found_again(picture: RGBImage) -> None:
    found = mend(picture, np.zeros(SIZE, bool), Hint(None, ((110, 60),)))
    assert found[60, 110]
    assert not (found & LEFT).any()


@pytest.mark.parametrize(
    ("hint", "message"),
    [
        (Hint(), "expected a box, or at least one point inside"),
        (Hint(None, (), ((3, 3),)), "expected a box, or at least one point inside"),
        (Hint((10, 10, 10, 20)), "has no area"),
        (Hint((50, 10, 20, 20)), "left, upper, right and lower"),
        (Hint((0, 0, 161, 20)), "160x120"),
        (Hint(None, ((160, 3),)), "the point 160,3 is outside"),
    ],
)
def test_hints_that_fit_no_mask(hint: Hint, message: str, picture: RGBImage) -> None:
    with pytest.raises(HS2SError, match=f"object 2.*{message}"):
        draw(picture, hint, name="object 2")


@pytest.mark.parametrize("hint", [Hint(), Hint((1, 1, 5, 5), ((2, 2),))])
def test_hints_that_mend_nothing(hint: Hint, picture: RGBImage) -> None:
    with pytest.raises(HS2SError, match="expected points that mend it"):
        mend(picture, LEFT, hint)
