"""Still images with region masks: the raw material of synthetic clips."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hs2s_core.errors import InvalidDataset
from hs2s_core.media.images import IMAGE_SUFFIXES, RGBImage, read_image
from hs2s_core.media.masks import BoolMask, mask_box, read_id_map
from hs2s_core.wording import counted

SMALLEST, LARGEST = 0.004, 0.6
"""Of the image: areas of regions that are cut out."""


@dataclass(frozen=True)
class Cutout:
    """One region of a still, cropped to its box: what a synthetic layer is made of."""

    rgb: RGBImage
    """(h, w, 3) uint8"""
    alpha: NDArray[np.uint8]
    """(h, w) uint8, 255 inside the region"""

    @classmethod
    def of(cls, rgb: RGBImage, mask: BoolMask) -> Cutout:
        """What a mask (H, W) shows of a picture (H, W, 3)."""
        box = mask_box(mask)
        return cls(rgb[box], mask[box].astype(np.uint8) * 255)


class StillSet:
    """Images (JPEG or PNG) and region masks (PNG) under ``root/<set>/{images,masks*}``.

    The values of a mask are its regions' ids, of any colour mode, 0 is none and 255 void; a mask of
    0 and 255 alone shows one region. ``names`` limits a set to some stems. Files are decoded on
    demand; a bounded number stays in memory.

    Raises:
        InvalidDataset: a set without stills, or whose masks are all empty.
        InvalidMask: a mask that cannot be read, or has soft edges; others when they are drawn.
    """

    def __init__(
        self,
        root: Path,
        sets: Sequence[str],
        names: Mapping[str, Sequence[str]] | None = None,
        cache: int = 600,
    ) -> None:
        self.items: list[tuple[Path, Path]] = []
        self.weights: list[float] = []
        if names is not None and not names.keys() >= set(sets):
            missing = ", ".join(sorted(set(sets) - names.keys()))
            raise InvalidDataset(
                f"no names are given for the stills of {missing}; the split has "
                f"{', '.join(names) or 'no set'}"
            )
        for name in sets:
            found = list(_pairs(root / name, None if names is None else set(names[name])))
            if not found:
                raise InvalidDataset(
                    f"no stills in {root / name}: expected images/*.jpg or *.png with "
                    "masks/<same name>.png"
                )
            if not any(read_id_map(mask).any() for _, mask in found):
                raise InvalidDataset(
                    f"{root / name}: none of {counted(len(found), 'mask')} shows a region; "
                    "expected ids from 1 to 254, or 0 and 255"
                )
            self.items += found
            # Sets weigh by the square root of their size, so that small varied ones count.
            self.weights += [len(found) ** -0.5] * len(found)
        self._shares = np.asarray(self.weights) / sum(self.weights)
        self._cache: OrderedDict[int, tuple[RGBImage, NDArray[Any]]] = OrderedDict()
        self._cache_size = cache

    def __len__(self) -> int:
        return len(self.items)

    def draw(self, rng: np.random.Generator) -> tuple[RGBImage, NDArray[Any]]:
        """A random still: RGB (H, W, 3) uint8 and its region ids (H, W), 0 = none."""
        index = int(rng.choice(len(self.items), p=self._shares))
        if index in self._cache:
            self._cache.move_to_end(index)
            return self._cache[index]
        image_path, mask_path = self.items[index]
        rgb = read_image(image_path)
        regions = read_id_map(mask_path)
        if regions.shape != rgb.shape[:2]:
            raise InvalidDataset(
                f"{mask_path} is {regions.shape}, its image {rgb.shape[:2]}: sizes must agree"
            )
        self._cache[index] = rgb, regions
        if len(self._cache) > self._cache_size:
            self._cache.popitem(last=False)
        return rgb, regions


def ids_of_share(
    id_map: NDArray[Any], least: float, most: float
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Ids that cover from ``least`` to ``most`` of a map (H, W), ascending, and their shares."""
    ids, counts = np.unique(id_map[id_map > 0], return_counts=True)
    shares = counts / id_map.size
    fits = (shares >= least) & (shares <= most)
    return ids[fits], shares[fits]


def cut_region(rgb: RGBImage, regions: NDArray[Any], rng: np.random.Generator) -> Cutout | None:
    """Cut one random region, or a union of two that touch; None if none has a fitting size.

    Larger regions are drawn more often (by the square root of their area), since tiny ones are
    mostly texture.
    """
    ids, shares = ids_of_share(regions, SMALLEST, LARGEST)
    if not len(ids):
        return None
    weights = np.sqrt(shares)
    first = rng.choice(ids, p=weights / weights.sum())
    mask = regions == first
    if len(ids) > 1 and rng.random() < 0.25:
        mask = _join_neighbour(mask, regions, ids, rng)
    return Cutout.of(rgb, mask)


def _join_neighbour(
    mask: BoolMask, regions: NDArray[Any], ids: NDArray[Any], rng: np.random.Generator
) -> BoolMask:
    around = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    touching = np.intersect1d(np.unique(regions[around & ~mask]), ids)
    if len(touching) == 0:
        return mask
    joined: BoolMask = mask | (regions == rng.choice(touching))
    return joined if joined.mean() < LARGEST else mask


def _pairs(folder: Path, names: set[str] | None) -> list[tuple[Path, Path]]:
    """Each image of a set with its mask."""
    return [
        (image, mask)
        for image in sorted((folder / "images").glob("*"))
        if image.suffix.lower() in IMAGE_SUFFIXES and (names is None or image.stem in names)
        for masks in ("masks", "masks_parts")
        if (mask := folder / masks / f"{image.stem}.png").exists()
    ]
