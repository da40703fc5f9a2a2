"""Border classes: the authors' mapping, and empty and full masks."""

from __future__ import annotations

import numpy as np

from hs2s_core.training.losses import border_classes


def half(columns: int, width: int = 60) -> np.ndarray:
    """Background on the left of ``columns``, object on the right."""
    mask = np.zeros((8, width), bool)
    mask[:, columns:] = True
    return mask


def test_classes_count_pixels_from_the_border() -> None:
    row = border_classes(half(30))[4]
    # Background: 20 - d; object: 21 + d, with d the distance to the other side, from 1.
    assert row[29] == 19
    assert row[20] == 10
    assert row[10] == 0
    assert row[9] == 0
    assert row[30] == 22
    assert row[39] == 31
    assert row[49] == 41
    assert row[59] == 41


def test_classes_20_and_21_never_occur() -> None:
    """The authors' off-by-one, kept."""
    rng = np.random.default_rng(0)
    for _ in range(5):
        classes = border_classes(rng.random((40, 40)) > 0.5)
        assert not np.isin(classes, (20, 21)).any()


def test_empty_and_full() -> None:
    empty = np.zeros((9, 9), bool)
    assert (border_classes(empty) == 0).all()
    assert (border_classes(~empty) == 41).all()


def test_diagonal_distances_are_euclidean() -> None:
    mask = np.zeros((21, 21), bool)
    mask[10, 10] = True
    assert border_classes(mask)[5, 5] == 20 - 7  # sqrt(50) = 7.07
