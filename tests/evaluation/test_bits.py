"""Packed planes: boundaries and dilation pixel by pixel, also where rows and words meet."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from jf_reference import plain_boundary

from hs2s_core.evaluation import bits


def unpack(planes: np.ndarray, size: tuple[int, int], radius: int) -> np.ndarray:
    """Pixels (planes, H, W) bool without the gaps."""
    height, width = size
    first = 64 * (radius // 64 + 1)
    pixels = np.unpackbits(planes.view(np.uint8), axis=-1, bitorder="little").astype(bool)
    return pixels[:height, :, first : first + width].swapaxes(0, 1)


@pytest.mark.parametrize("radius", [0, 1, 2, 5, 8, 9, 12, 20, 63, 64, 70])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (9, 4), (20, 5), (2, 70)])
def test_dilation_of_every_single_pixel_is_the_disc(radius: int, size: tuple[int, int]) -> None:
    rows, columns = np.indices(size)
    for row, column in np.ndindex(*size):
        mask = np.zeros(size, bool)
        mask[row, column] = True
        disc = (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
        reach = bits.dilate(bits.pack_ids([mask, ~mask], 1, radius)[0], radius)
        np.testing.assert_array_equal(unpack(reach, size, radius)[0], disc)


sizes = st.tuples(st.integers(1, 12), st.integers(1, 200))


@given(st.data(), sizes, st.sampled_from([0, 8, 63, 64]))
def test_packing_and_boundaries(data: st.DataObject, size: tuple[int, int], radius: int) -> None:
    maps = np.zeros((2, *size), np.uint8)
    # Pixels in a part of the map, so that there is something to cut off.
    top, left = data.draw(st.integers(0, size[0] - 1)), data.draw(st.integers(0, size[1] - 1))
    part = maps[:, top:, left : left + data.draw(st.integers(1, 100))]
    part[:] = data.draw(hnp.arrays(np.uint8, part.shape, elements=st.integers(0, 2)))
    packed = bits.select(bits.pack_ids(maps, 2, radius), 2)
    np.testing.assert_array_equal(unpack(packed, size, radius), maps == 2)
    planes, edges = bits.boundaries(packed, size[1], radius)
    for index, mask in enumerate(maps == 2):
        assert bits.count(planes[:, index]) == mask.sum()
        # The count includes the gaps, which must stay empty: they would be dilated.
        assert bits.count(edges[:, index]) == plain_boundary(mask).sum()


@pytest.mark.parametrize("size", [(3, 64), (3, 65), (200, 400), (700, 130)])
def test_large_maps_are_packed_in_blocks(size: tuple[int, int]) -> None:
    ids = np.random.default_rng(0).integers(0, 6, size, dtype=np.uint16)
    digits = bits.pack_ids([ids], 5, 9)
    for object_id in range(1, 6):
        planes = bits.select(digits, object_id)
        np.testing.assert_array_equal(unpack(planes, size, 9)[0], ids == object_id)
