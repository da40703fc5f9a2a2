"""Packed planes: boundaries and dilation pixel by pixel, also where rows and bands meet."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hs2s_core.evaluation import bits

from .jf_reference import plain_boundary


def unpack(planes: np.ndarray, height: int) -> np.ndarray:
    """Pixels (planes, H, W) bool."""
    bands = [planes >> bit & 1 for bit in range(8)]
    return np.concatenate(bands, axis=1)[:, :height].astype(bool)


@pytest.mark.parametrize("radius", [0, 1, 2, 5, 8, 9, 12, 20, 70])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (9, 4), (40, 5), (2, 70)])
def test_dilation_of_every_single_pixel_is_the_disc(radius: int, size: tuple[int, int]) -> None:
    rows, columns = np.indices(size)
    for row, column in np.ndindex(*size):
        mask = np.zeros(size, np.uint8)
        mask[row, column] = 1
        disc = (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
        reach = bits.dilate(bits.pack([mask, 1 - mask], radius), radius)
        np.testing.assert_array_equal(unpack(reach, size[0])[0], disc)


sizes = st.tuples(st.integers(1, 40), st.integers(1, 60))


@given(st.data(), sizes, st.sampled_from([0, 3, 8]))
def test_packing_and_boundaries(data: st.DataObject, size: tuple[int, int], radius: int) -> None:
    masks = data.draw(hnp.arrays(np.uint8, (2, *size), elements=st.integers(0, 1)))
    planes = bits.pack(list(masks), radius)
    np.testing.assert_array_equal(unpack(planes, size[0]), masks)
    edges = bits.boundaries(planes, size[0])
    expected = [plain_boundary(mask.astype(bool)) for mask in masks]
    np.testing.assert_array_equal(unpack(edges, size[0]), expected)
    # What lies behind the last row would be counted and dilated.
    assert bits.count(planes) == masks.sum()
    assert bits.count(edges) == np.sum(expected)
