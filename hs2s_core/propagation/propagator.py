"""One frame in, one id map out: every object in one batch, state constant in size."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from hs2s_core.errors import HS2SError
from hs2s_core.media.masks import check_prompt, id_dtype
from hs2s_core.models.base import State, VideoSegmenter, join_states, select_objects
from hs2s_core.models.inference import for_inference
from hs2s_core.models.inputs import network_size, normalise

RGBImage = npt.NDArray[np.uint8]
MERGES = ("argmax", "soft")


@dataclass(frozen=True)
class FrameResult:
    """What :meth:`Propagator.step` says of one frame."""

    index: int
    """0-based index of the frame since the last reset."""
    id_map: npt.NDArray[np.unsignedinteger]
    """(H, W) uint8 (uint16 if an id is above 254) at the frame's own size, 0 = background."""
    ids: tuple[int, ...]
    """Objects tracked so far, in ascending order; those without a pixel are absent here."""
    scores: dict[int, float]
    """Confidence in [0, 1] by id: the mean probability of the pixels given to the object.

    It says how sure the network is of what it drew, not how right it is. A prompt scores 1,
    an object without a pixel 0.
    """

    def mask(self, object_id: int) -> npt.NDArray[np.bool_]:
        """(H, W) bool mask of one object."""
        own: npt.NDArray[np.bool_] = self.id_map == object_id
        return own


class Propagator:
    """Carries objects from frame to frame.

    Each object is segmented on its own and fed back its own soft mask at the network's size,
    so an object that enters later leaves the probabilities of the others as they were. Logits
    are brought to the frame's size before objects compete for pixels:

    * ``merge="argmax"``: the highest of 0.5 (background) and the objects' probabilities;
    * ``merge="soft"``: the highest of the normalised odds of background, whose probability is
      the product of all (1 - p), and objects.

    A prompt for an object that is already tracked is a correction: from there on it is a new
    start for that object. Its pixels, as given, override predictions in its frame.

    A network that is not online (Bi-HS2S) must be shown frames with :meth:`look_ahead` before
    their steps.
    """

    def __init__(self, model: VideoSegmenter, *, merge: str = "argmax") -> None:
        if merge not in MERGES:
            raise HS2SError(f"merge is {merge!r}; expected one of {', '.join(MERGES)}")
        self.model = for_inference(model)
        self.merge = merge
        self.device = next(model.parameters()).device
        self.reset()

    def reset(self) -> None:
        """Forget the clip: the next :meth:`step` is frame 0 of a new one."""
        self._index = 0
        self._frame_size: tuple[int, int] | None = None
        self._ids: list[int] = []
        self._state: State | None = None
        self._masks: Tensor | None = None
        self._ahead: deque[Any] = deque()

    @torch.inference_mode()
    def look_ahead(self, frames: Sequence[RGBImage]) -> None:
        """Show the next frames, at least one; exactly these must be stepped through next.

        Memory holds the features of all of them, so a long clip goes in several chunks. An online
        network needs none of this.
        """
        if self._ahead:
            raise HS2SError(
                f"{len(self._ahead)} frames looked at are left; step through them first"
            )
        size = self._check_frame(frames[0])
        inner = self._inner(size)
        self._ahead.extend(self.model.encode(self._to_input(frame, inner)) for frame in frames)
        if self._state is not None:
            owner = self._owner(len(self._ids))
            self._state = self.model.look_ahead(list(self._ahead), self._state, owner)

    @torch.inference_mode()
    def step(
        self, frame: RGBImage, prompts: Mapping[int, npt.ArrayLike] | None = None
    ) -> FrameResult:
        """Segment the next frame.

        Args:
            frame: (H, W, 3) uint8 RGB; all frames of a clip have one size.
            prompts: object id (positive) -> (H, W) mask, for objects given in this frame.

        Raises:
            InvalidMask: a prompt that does not fit the frame, is empty or not binary.
            HS2SError: a frame of another size or type, an id that is not positive.
        """
        size = self._check_frame(frame)
        given = {
            _check_id(object_id): check_prompt(
                mask, size, name=f"object {object_id} in frame {self._index}"
            )
            for object_id, mask in sorted((prompts or {}).items())
        }
        inner = self._inner(size)
        features = self._ahead.popleft() if self._ahead else None
        if features is None and (given or self._ids):
            if not self.model.online:
                raise HS2SError(
                    "this network sees frames before it segments them; call look_ahead() with the "
                    "next frames first, or use propagate()"
                )
            features = self.model.encode(self._to_input(frame, inner))
        logits = self._predict(features, size) if self._ids else None
        id_map, scores = self._merge(logits, size)
        for object_id, mask in given.items():
            id_map = id_map.astype(np.promote_types(id_map.dtype, id_dtype(object_id)), copy=False)
            id_map[id_map == object_id] = 0
            id_map[mask] = object_id
            scores[object_id] = 1.0
        if given:
            self._enter(features, given, inner)
        for object_id in self._ids:
            if not (id_map == object_id).any():
                scores[object_id] = 0.0
        ids = tuple(sorted(self._ids))
        result = FrameResult(self._index, id_map, ids, {i: scores[i] for i in ids})
        self._index += 1
        return result

    def _check_frame(self, frame: RGBImage) -> tuple[int, int]:
        if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
            raise HS2SError(
                f"frame {self._index} is {frame.dtype} of shape {frame.shape}; "
                "expected RGB uint8 of shape (H, W, 3)"
            )
        size = (int(frame.shape[0]), int(frame.shape[1]))
        if self._frame_size not in (None, size):
            raise HS2SError(
                f"frame {self._index} is {size}, the frames before it {self._frame_size} "
                "(height, width); call reset() before another clip"
            )
        self._frame_size = size
        return size

    def _inner(self, size: tuple[int, int]) -> tuple[int, int]:
        config = self.model.config
        return network_size(size, config.input_size, self.model.stride, config.keep_aspect)

    def _owner(self, objects: int) -> Tensor:
        """All objects belong to the one clip there is."""
        return torch.zeros(objects, dtype=torch.int64, device=self.device)

    def _to_input(self, frame: RGBImage, inner: tuple[int, int]) -> Tensor:
        small = np.ascontiguousarray(_resize(frame, inner))
        tensor = torch.from_numpy(small).to(self.device).permute(2, 0, 1)[None]
        return normalise(tensor).contiguous(memory_format=torch.channels_last)

    def _predict(self, features: object, size: tuple[int, int]) -> Tensor:
        """Logits (B, H, W) at the frame's size; keeps the soft masks for the next step."""
        assert self._state is not None
        assert self._masks is not None
        owner = self._owner(len(self._ids))
        output, self._state = self.model.step(features, self._masks, self._state, owner)
        self._masks = output.logits.sigmoid()
        logits = F.interpolate(output.logits, size=size, mode="bilinear", align_corners=False)
        return logits[:, 0].float()

    def _merge(
        self, logits: Tensor | None, size: tuple[int, int]
    ) -> tuple[npt.NDArray[np.unsignedinteger], dict[int, float]]:
        """Id map (H, W) and the mean probability of each object's pixels."""
        if logits is None:
            return np.zeros(size, np.uint8), {}
        if len(self._ids) == 1 and self.merge == "argmax":
            return self._merge_one(logits[0])
        best, winner = logits.max(dim=0)
        # Log-odds of the background: 0 is p = 0.5; softly it is sum of log (1 - p), as logits
        # are log-odds already and all share the same normalisation.
        background = torch.zeros_like(best) if self.merge == "argmax" else -_odds_against(logits)
        place = torch.where(best > background, winner + 1, 0)
        ids = torch.tensor([0, *self._ids], dtype=torch.int32, device=self.device)
        kind = id_dtype(max(self._ids))
        id_map = ids[place].cpu().numpy().astype(kind)
        count = torch.bincount(place.flatten(), minlength=len(self._ids) + 1)[1:]
        total = torch.bincount(
            place.flatten(), weights=best.sigmoid().flatten(), minlength=len(self._ids) + 1
        )[1:]
        means = (total / count.clamp(min=1)).tolist()
        return id_map, dict(zip(self._ids, means, strict=True))

    def _merge_one(
        self, logits: Tensor
    ) -> tuple[npt.NDArray[np.unsignedinteger], dict[int, float]]:
        """What :meth:`_merge` says of a single object, in fewer passes over the frame."""
        (object_id,) = self._ids
        own = logits > 0
        score = logits[own].sigmoid().mean().nan_to_num().item()
        kind = id_dtype(object_id)
        id_map = own.cpu().numpy().astype(kind)
        return np.multiply(id_map, kind(object_id), out=id_map), {object_id: score}

    def _enter(
        self, features: object, given: dict[int, npt.NDArray[np.bool_]], inner: tuple[int, int]
    ) -> None:
        """Start (or restart) the given objects in one batch and join the others'."""
        small = np.stack([_resize(mask.astype(np.float32), inner) for mask in given.values()])
        masks = torch.from_numpy(small)[:, None].to(self.device)
        owner = self._owner(len(given))
        state = self.model.begin(features, masks, owner)
        if self._ahead:
            state = self.model.look_ahead(list(self._ahead), state, owner)
        stay = [place for place, object_id in enumerate(self._ids) if object_id not in given]
        if self._state is not None and self._masks is not None and stay:
            index = torch.tensor(stay, device=self.device)
            state = join_states([select_objects(self._state, index), state])
            masks = torch.cat([self._masks[index], masks])
        self._ids = [self._ids[place] for place in stay] + list(given)
        self._state, self._masks = state, masks


def _odds_against(logits: Tensor) -> Tensor:
    """Log-odds that some object is there, (H, W): minus those of the background.

    The background has probability prod (1 - p); probabilities are kept 1e-7 from 0 and 1.
    """
    log_absent = -F.softplus(logits).sum(dim=0)
    absent = log_absent.exp().clamp(1e-7, 1 - 1e-7)
    return torch.log1p(-absent) - absent.log()


def _check_id(object_id: int) -> int:
    if not isinstance(object_id, (int, np.integer)) or not 0 < object_id < 65536:
        raise HS2SError(f"object id {object_id!r}: expected a whole number from 1 to 65535")
    return int(object_id)


def _resize(image: npt.NDArray[np.generic], size: tuple[int, int]) -> npt.NDArray[np.generic]:
    """Area average when shrinking (no aliasing, soft mask edges), bilinear when enlarging."""
    shrink = size[0] * size[1] < image.shape[0] * image.shape[1]
    mode = cv2.INTER_AREA if shrink else cv2.INTER_LINEAR
    return cv2.resize(image, (size[1], size[0]), interpolation=mode)  # type: ignore[no-any-return]
