"""A network prepared once for all engines of a run: folded, packed, and careful with memory."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from threading import Lock
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hs2s_core.devices import free_memory, is_out_of_memory
from hs2s_core.errors import HS2SError
from hs2s_core.media.images import RGBImage
from hs2s_core.models.base import VideoSegmenter
from hs2s_core.models.inference import choose_pace, for_inference
from hs2s_core.models.inputs import normalise

Found = TypeVar("Found")
Size = tuple[int, int]

_KEPT_FRAMES = 128
_KEPT_BYTES = 512 * 2**20
"""Of the features that are at hand; those of the last call's frames are in any case."""


class PreparedNetwork:
    """A network ready for inference, with the features of the frames it saw last.

    Engines that step together share it, also on two threads, and so encode each frame once; what
    was followed backwards lately is not encoded again on the way forwards.
    """

    def __init__(self, model: VideoSegmenter, speed: str) -> None:
        self.given = model
        parameter = next(model.parameters())
        self.device = parameter.device
        self.dtype, _ = choose_pace(speed, model.config, self.device)
        self.model = for_inference(model, self.dtype)
        exact = [*self.model.precise_parts()]
        # Pixels have as many digits as bfloat16 has.
        self._pixels = next(exact[0].parameters()).dtype if exact else self.dtype
        self._seen: OrderedDict[tuple[Size, bytes], Any] = OrderedDict()
        """Features by what the network sees of a frame; those used last at the end."""
        self._seeing = Lock()
        self._batch: int | None = None
        """Objects that are followed together at most; None where memory was always enough."""

    @cached_property
    def weights(self) -> str:
        """A digest of the weights that were given, and of their config, which says how they are
        used; 400 M parameters take more than a second."""
        found = hashlib.sha256(repr(self.given.config).encode())
        for name, tensor in sorted(self.given.state_dict().items()):
            found.update(name.encode())
            found.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
        return found.hexdigest()

    def batched(self, run: Callable[[Tensor | None], Found], objects: int) -> list[Found]:
        """``run`` for all objects (None), or for places of some, in batches that memory allows.

        A batch that did not fit is halved, and so are those of later frames.
        """
        while True:
            largest = min(objects, self._batch or objects)
            parts = torch.split(torch.arange(objects, device=self.device), largest)
            try:
                return [run(part if len(parts) > 1 else None) for part in parts]
            except (RuntimeError, MemoryError) as error:
                if largest == 1 or not is_out_of_memory(error):
                    raise
            # Here, as the error holds what was computed until then.
            self._batch = (largest + 1) // 2
            free_memory(self.device)

    @contextmanager
    def telling(self, what: str) -> Iterator[None]:
        """Say of an exhausted memory what it was too small for, and what helps."""
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            free_memory(self.device)
            raise HS2SError(
                f"the memory of {self.device} is exhausted, by {what}; end what else uses it, or "
                "choose speed 'fast', smaller frames or another device, such as cpu. PyTorch says: "
                f"{str(error).splitlines()[0] if str(error) else type(error).__name__}"
            ) from error

    def features(self, frames: Sequence[RGBImage], inner: Size) -> list[Any]:
        """Features of each frame; those of the last frames are at hand."""
        found = [self._features(np.ascontiguousarray(resize(frame, inner))) for frame in frames]
        kept = min(_KEPT_FRAMES, _KEPT_BYTES // max(1, _size(found[-1])))
        with self._seeing:
            while len(self._seen) > max(kept, len(frames)):
                self._seen.popitem(last=False)
        return found

    def _features(self, small: RGBImage) -> Any:
        key = (small.shape[0], small.shape[1]), small.tobytes()
        with self._seeing:
            found = self._seen.pop(key, None)
        if found is None:
            tensor = self.upload(torch.from_numpy(small)).permute(2, 0, 1)[None]
            frames = normalise(tensor).to(self._pixels, memory_format=torch.channels_last)
            found = self.model.encode(frames)
        with self._seeing:
            self._seen[key] = found
        return found

    def upload(self, tensor: Tensor) -> Tensor:
        """``tensor`` on the network's device; a GPU goes on computing meanwhile."""
        if self.device.type == "cuda":
            tensor = tensor.pin_memory()
        return tensor.to(self.device, non_blocking=True)


def _size(tree: Any) -> int:
    """Bytes of the tensors of a tree."""
    if isinstance(tree, Tensor):
        return tree.nbytes
    return sum(map(_size, tree)) if isinstance(tree, (tuple, list)) else 0


def resize(image: npt.NDArray[Any], size: Size) -> npt.NDArray[Any]:
    """Area average when shrinking (no aliasing, soft mask edges), bilinear when enlarging."""
    shrink = size[0] * size[1] < image.shape[0] * image.shape[1]
    mode = cv2.INTER_AREA if shrink else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (size[1], size[0]), interpolation=mode))
