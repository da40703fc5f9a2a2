"""J and F of one frame: known answers, properties, and the window against the full frame."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hs2s_core.errors import InvalidMask
from hs2s_core.evaluation import (
    count_objects,
    count_pixels,
)
from hs2s_core.evaluation.metrics import NOTHING, boundary_radius

from .jf_reference import pairwise_matches, plain_boundary, plain_counts, plain_disc

sizes = st.tuples(st.integers(1, 30), st.integers(1, 30))
tolerances = st.sampled_from([0.0, 0.008, 0.05, 0.1, 0.3, 1.5])


@st.composite
def rectangles(draw: st.DrawFn, size: tuple[int, int]) -> np.ndarray:
    """Union of up to three rectangles, which often touch the image border."""
    mask = np.zeros(size, bool)
    for _ in range(draw(st.integers(0, 3))):
        top, left = draw(st.integers(0, size[0] - 1)), draw(st.integers(0, size[1] - 1))
        bottom, right = draw(st.integers(top, size[0])), draw(st.integers(left, size[1]))
        mask[top:bottom, left:right] ^= True
    return mask


@st.composite
def mask_pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    size = draw(sizes)
    kind = st.one_of(rectangles(size), hnp.arrays(np.bool_, size), hnp.arrays(np.bool_, size))
    return draw(kind), draw(kind)


def mask_of(*rows: str) -> np.ndarray:
    return np.array([[letter == "#" for letter in row] for row in rows])


@settings(max_examples=400)
@given(mask_pairs(), tolerances)
def test_window_equals_full_frame(pair: tuple[np.ndarray, np.ndarray], tolerance: float) -> None:
    assert count_pixels(*pair, tolerance) == plain_counts(*pair, tolerance)


@settings(max_examples=50)
@given(mask_pairs(), tolerances)
def test_matches_are_pairs_within_the_radius(
    pair: tuple[np.ndarray, np.ndarray], tolerance: float
) -> None:
    prediction, truth = map(plain_boundary, pair)
    radius = boundary_radius(truth.shape, tolerance)
    counts = count_pixels(*pair, tolerance)
    assert counts.matched_prediction == pairwise_matches(prediction, truth, radius)
    assert counts.matched_truth == pairwise_matches(truth, prediction, radius)


@settings(max_examples=25)
@given(st.data())
@example(data=None)
def test_window_equals_full_frame_at_480p(data: st.DataObject | None) -> None:
    size = (480, 854)
    if data is None:
        pair = (np.ones(size, bool), np.eye(*size, dtype=bool))
    else:
        pair = (data.draw(rectangles(size)), data.draw(rectangles(size)))
    assert count_pixels(*pair) == plain_counts(*pair)


@given(mask_pairs(), tolerances)
def test_symmetry(pair: tuple[np.ndarray, np.ndarray], tolerance: float) -> None:
    prediction, truth = pair
    assert count_pixels(prediction, truth).j == count_pixels(truth, prediction).j
    there = count_pixels(prediction, truth, tolerance).f
    assert there == count_pixels(truth, prediction, tolerance).f
    assert 0 <= there <= 1


@given(mask_pairs())
def test_identity(pair: tuple[np.ndarray, np.ndarray]) -> None:
    assert count_pixels(pair[0], pair[0]).j == 1
    assert count_pixels(pair[0], pair[0], 0).f == 1


@given(mask_pairs())
def test_greater_tolerance_never_lowers_f(pair: tuple[np.ndarray, np.ndarray]) -> None:
    scores = [count_pixels(*pair, tolerance).f for tolerance in (0, 0.05, 0.1, 0.3)]
    assert scores == sorted(scores)


@given(mask_pairs(), st.integers(0, 9), st.integers(0, 9))
def test_counts_do_not_depend_on_the_place(
    pair: tuple[np.ndarray, np.ndarray], down: int, right: int
) -> None:
    height, width = pair[0].shape
    size = (height + 12, width + 12)
    moved = []
    for top, left in ((1, 1), (1 + down, 1 + right)):
        frames = np.zeros((2, *size), bool)
        frames[:, top : top + height, left : left + width] = pair
        moved.append(count_pixels(*frames, 0.05))
    assert moved[0] == moved[1]


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (9, 12)])
def test_empty_and_full(size: tuple[int, int]) -> None:
    empty, full = np.zeros(size, bool), np.ones(size, bool)
    assert count_pixels(empty, empty) == NOTHING
    assert (count_pixels(empty, empty).j, count_pixels(empty, empty).f) == (1, 1)
    assert (count_pixels(full, empty).j, count_pixels(empty, full).j) == (0, 0)
    # A mask that fills the frame has no boundary, exactly as an empty one.
    assert count_pixels(full, full).boundary_truth == 0
    assert (count_pixels(full, full).f, count_pixels(full, empty).f) == (1, 1)


def test_one_boundary_without_the_other_is_zero() -> None:
    empty, point = np.zeros((9, 9), bool), np.zeros((9, 9), bool)
    point[4, 4] = True
    assert count_pixels(point, empty).f == count_pixels(empty, point).f == 0
    assert count_pixels(point, ~empty).f == count_pixels(~empty, point).f == 0


@pytest.mark.parametrize(
    ("mask", "edge"),
    [
        (mask_of("....", ".#..", "...."), mask_of("##..", "##..", "....")),
        (mask_of("#...", "....", "...."), mask_of("#...", "....", "....")),
        (mask_of("....", "....", "...#"), mask_of("....", "..##", "..#.")),
        (mask_of("...#", "....", "...."), mask_of("..##", "....", "....")),
        (mask_of("....", "....", "#..."), mask_of("....", "#...", "#...")),
        (mask_of("##..", "##..", "##.."), mask_of(".#..", ".#..", ".#..")),
    ],
)
def test_boundary_of_single_pixels_and_at_the_border(mask: np.ndarray, edge: np.ndarray) -> None:
    np.testing.assert_array_equal(plain_boundary(mask), edge)
    counts = count_pixels(mask, mask)
    assert counts.boundary_truth == counts.matched_prediction == edge.sum()


def test_known_overlap_and_known_match() -> None:
    prediction, truth = np.zeros((2, 100, 100), bool)
    prediction[10:20, 10:20] = True
    truth[10:20, 15:25] = True
    counts = count_pixels(prediction, truth, tolerance=0)
    assert counts[:3] == (100, 100, 50)
    assert counts.j == pytest.approx(1 / 3)
    # An 11 x 11 box less its 9 x 9 inside; the boxes share two rows of 6 pixels.
    assert counts[3:] == (40, 40, 12, 12)
    assert counts.f == pytest.approx(0.3)


@pytest.mark.parametrize(("distance", "f"), [(8, 1.0), (9, 0.0)])
def test_reach_at_480p_is_eight_pixels(distance: int, f: float) -> None:
    prediction, truth = np.zeros((2, 480, 854), bool)
    prediction[:, :400] = True
    truth[:, : 400 + distance] = True
    assert count_pixels(prediction, truth).f == f


def test_disc_is_not_a_square() -> None:
    prediction, truth = np.zeros((2, 480, 854), bool)
    # A lone pixel has four boundary pixels in a square; moved by (6, 6) some are out of reach.
    prediction[200, 300] = True
    truth[206, 306] = True
    counts = count_pixels(prediction, truth)
    assert 0 < counts.matched_prediction < counts.boundary_prediction == 4


@pytest.mark.parametrize(
    ("size", "radius"), [((256, 448), 5), ((480, 854), 8), ((720, 1280), 12), ((600, 800), 8)]
)
def test_radius(size: tuple[int, int], radius: int) -> None:
    assert boundary_radius(size) == radius
    assert plain_disc(radius).shape == (2 * radius + 1, 2 * radius + 1)


@st.composite
def id_map_pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    size, dtype = draw(sizes), draw(st.sampled_from([np.uint8, np.uint16]))
    kind = hnp.arrays(dtype, size, elements=st.sampled_from([0, 0, 0, 1, 2, 200]))
    return draw(kind), draw(kind)


@given(id_map_pairs())
def test_objects_of_a_frame_equal_masks_one_by_one(pair: tuple[np.ndarray, np.ndarray]) -> None:
    prediction, truth = pair
    counts = count_objects(prediction, truth, ids=[7])
    present = set(np.unique(pair).tolist()) - {0}
    assert list(counts) == sorted(present | {7})
    for key, count in counts.items():
        assert count == plain_counts(prediction == key, truth == key)


def test_mask_types_and_memory_layouts() -> None:
    rng = np.random.default_rng(0)
    prediction, truth = rng.random((2, 40, 50)) > 0.6
    expected = plain_counts(prediction, truth)
    assert count_pixels(prediction.astype(np.uint8) * 255, truth.astype(float)) == expected
    assert count_pixels(np.asfortranarray(prediction), truth.T.copy().T) == expected


@pytest.mark.parametrize(
    ("prediction", "truth"),
    [
        (np.zeros((4, 5), bool), np.zeros((5, 4), bool)),
        (np.zeros((4, 5, 1), bool), np.zeros((4, 5, 1), bool)),
        (np.zeros((0, 5), bool), np.zeros((0, 5), bool)),
    ],
)
def test_sizes_that_do_not_fit_are_named(prediction: np.ndarray, truth: np.ndarray) -> None:
    with pytest.raises(InvalidMask, match=r"has shape \(.*\) and the truth \("):
        count_pixels(prediction, truth)
    with pytest.raises(InvalidMask, match=r"has shape \(.*\) and the truth \("):
        count_objects(prediction.astype(np.uint8), truth.astype(np.uint8))
