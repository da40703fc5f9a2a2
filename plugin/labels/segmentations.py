"""What the values of a Segmentation mean: object ids, or colours that FiftyOne's targets name.

A dataset's mask targets give the classes of numbers, or of colours such as ``#ff0000``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import fiftyone.core.fields as fof
import numpy as np
import numpy.typing as npt

from hs2s_core.errors import InvalidMask
from hs2s_core.media.masks import VOID, IdMap, array_ids, id_dtype, read_id_map

from .masks import read_instance_mask

_VOID_NAMES = ("void", "ignore", "unlabel", "unknown", "boundary", "border")
"""How targets begin that name no class, as those of VOC and Cityscapes for 255."""


@dataclass(frozen=True)
class Targets:
    """The mask targets of a field, as object ids."""

    names: Mapping[int, str] = field(default_factory=dict)
    """Class names by object id."""
    colours: Mapping[int, int] = field(default_factory=dict)
    """Object ids by colour, as one number; empty where values are numbers."""
    void: int | None = VOID
    """The value that stands for no object; None where 255 is an object, too."""

    @classmethod
    def of(cls, targets: Mapping[Any, str]) -> Targets:
        """Those that a dataset has for a field; colours are numbered in their order."""
        if targets and fof.is_rgb_mask_targets(targets):
            codes = {fof.hex_to_int(colour): name for colour, name in targets.items()}
            shown = [code for code, name in codes.items() if code and not _is_void(name)]
            numbers = {code: number for number, code in enumerate(shown, 1)}
            return cls(
                {number: codes[code] for code, number in numbers.items()},
                dict.fromkeys((0, *codes), 0) | numbers,
            )
        names = {value: name for value, name in targets.items() if value}
        if VOID not in names or _is_void(names[VOID]):
            return cls(names)
        # Black and white is object 1 wherever it stands.
        return cls({1: names[VOID]}) if len(names) == 1 else cls(names, void=None)

    def read(self, path: str, name: str) -> IdMap:
        """The object ids (H, W) of a mask in a file; see :meth:`ids`."""
        if self.colours:
            return self.ids(read_instance_mask(path, name, colours=True), name)
        return read_id_map(path, void=self.void)

    def ids(self, values: npt.NDArray[Any], name: str) -> IdMap:
        """The object ids (H, W) of a mask in the database.

        Raises InvalidMask, calling it ``name``, for one that holds no ids, or unnamed colours.
        """
        if not (self.colours and values.ndim == 3):
            return array_ids(values, name=name, void=self.void)
        codes = fof.rgb_array_to_int(values[..., :3].astype(np.int64))
        found, places = np.unique(codes, return_inverse=True)
        unnamed = [fof.int_to_hex(int(code)) for code in found if int(code) not in self.colours]
        if unnamed:
            raise InvalidMask(
                f"{name}: has {len(unnamed)} colours without a name, such as {unnamed[0]}; "
                "expected those of the dataset's mask targets. Add them there, or save the mask "
                "without smoothing."
            )
        ids = np.array([self.colours[int(code)] for code in found])
        return ids.astype(id_dtype(len(self.names)))[places].reshape(codes.shape)


def _is_void(name: str) -> bool:
    return name.lower().startswith(_VOID_NAMES)
