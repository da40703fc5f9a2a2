"""One frame in, one id map out: objects compete for pixels, and given masks count as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from hs2s_core.checked.calls import checked_call
from hs2s_core.errors import check_choice
from hs2s_core.media.images import RGBImage
from hs2s_core.media.masks import BoolMask, IdMap, check_prompt, id_dtype
from hs2s_core.models.base import VideoSegmenter
from hs2s_core.prompts import Prompts
from hs2s_core.propagation.engine import Engine, SoftMask
from hs2s_core.propagation.network import NetworkEngine
from hs2s_core.propagation.snapshot import Snapshot

MERGES = ("argmax", "soft")


@dataclass(frozen=True)
class FrameResult:
    """What is known of one frame."""

    index: int
    """0-based number of the frame in its video."""
    id_map: IdMap
    """(H, W) uint8 (uint16 if an id is above 254) at the frame's own size, 0 = background."""
    ids: tuple[int, ...]
    """Objects followed into this frame or given in it, ascending; some may have no pixel."""
    scores: dict[int, float]
    """Confidence in [0, 1] by id: the mean probability of the pixels given to the object.

    It says how sure the network is of what it drew, not how right it is. A prompt scores 1,
    an object without a pixel 0.
    """
    given: frozenset[int] = frozenset()
    """Objects whose mask here is a prompt."""
    origins: dict[int, str] = field(default_factory=dict)
    """By id, of those given: where the mask comes from, see :data:`hs2s_core.prompts.ORIGINS`."""
    disagreement: dict[int, float] = field(default_factory=dict)
    """By id, where an object was followed both ways: 1 - IoU of the two masks."""
    distance: dict[int, int] = field(default_factory=dict)
    """By id: frames to the nearest key frame from which the object was followed."""
    soft: dict[int, SoftMask] | None = None
    """By id, where asked for: the object's probabilities at the network's size."""

    @property
    def areas(self) -> dict[int, int]:
        """Pixels of each object of ``ids``; one with none is absent."""
        return {each: int(np.count_nonzero(self.id_map == each)) for each in self.ids}

    def mask(self, object_id: int) -> BoolMask:
        """(H, W) bool mask of one object."""
        own: BoolMask = self.id_map == object_id
        return own


class Propagator:
    """Carries objects from frame to frame as they come.

    Logits are brought to the frame's size before objects compete for pixels:

    * ``merge="argmax"``: the highest of 0.5 (background) and the objects' probabilities;
    * ``merge="soft"``: the highest of the normalised odds of background, whose probability is
      the product of all (1 - p), and objects.

    A prompt for an object that is already tracked is a correction: from there on it is a new
    start for that object. Its pixels, as given, override predictions in its frame.

    A network that is not online (Bi-HS2S) must be shown frames with :meth:`look_ahead` before
    their steps.
    """

    @checked_call
    def __init__(self, model: VideoSegmenter | Engine, *, merge: str = "argmax") -> None:
        self.engine = NetworkEngine(model) if isinstance(model, VideoSegmenter) else model
        self.merge = check_choice("merge", merge, MERGES)
        self.reset()

    def reset(self) -> None:
        """Forget the clip: the next :meth:`step` is frame 0 of a new one."""
        self.engine.start()
        self._index = 0

    @checked_call
    def look_ahead(self, frames: Sequence[RGBImage]) -> None:
        """See :meth:`Engine.look_ahead`."""
        self.engine.look_ahead(frames)

    @checked_call
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
        size = (int(frame.shape[0]), int(frame.shape[1]))
        given = {
            prompt.object_id: check_prompt(prompt.mask, size, name=prompt.name)
            for prompt in Prompts.of({self._index: prompts or {}}).each()
        }
        ids, logits = self.engine.step(frame, given)
        stay = [place for place, object_id in enumerate(ids) if object_id not in given]
        rest = None if logits is None or not stay else logits[stay]
        result = settle(self._index, size, [ids[i] for i in stay], rest, given, self.merge)
        self._index += 1
        return result

    def snapshot(self) -> Snapshot:
        """The whole state after the last step; see :meth:`Engine.snapshot`."""
        tensors, meta = self.engine.snapshot()
        return Snapshot(tensors, {"index": self._index, "engine": meta})

    @checked_call
    def restore(self, snapshot: Snapshot) -> None:
        """Go on from ``snapshot``, the same to the last bit."""
        self.engine.restore(Snapshot(snapshot.tensors, snapshot.meta["engine"]))
        self._index = snapshot.meta["index"]


@torch.inference_mode()
def settle(
    index: int,
    size: tuple[int, int],
    ids: Sequence[int],
    logits: Tensor | None,
    given: Mapping[int, BoolMask],
    merge: str,
) -> FrameResult:
    """Let objects compete for the pixels of a frame of ``size`` (H, W).

    ``logits`` (B, h, w) are those of ``ids``; masks that are ``given`` then lie over all.
    """
    id_map, scores = _compete(ids, logits, size, merge)
    for object_id, mask in given.items():
        id_map = id_map.astype(np.promote_types(id_map.dtype, id_dtype(object_id)), copy=False)
        id_map[mask] = object_id
        scores[object_id] = 1.0
    for object_id in scores:
        if not (id_map == object_id).any():
            scores[object_id] = 0.0
    ordered = tuple(sorted(scores))
    return FrameResult(index, id_map, ordered, {i: scores[i] for i in ordered}, frozenset(given))


def _compete(
    ids: Sequence[int], logits: Tensor | None, size: tuple[int, int], merge: str
) -> tuple[IdMap, dict[int, float]]:
    """Id map (H, W) and the mean probability of each object's pixels."""
    if logits is None:
        return np.zeros(size, np.uint8), {}
    logits = F.interpolate(logits[:, None], size=size, mode="bilinear", align_corners=False)
    logits = logits[:, 0].float()
    if len(ids) == 1 and merge == "argmax":
        return _take(ids[0], logits[0])
    best, winner = logits.max(dim=0)
    # Log-odds of the background: 0 is p = 0.5; softly it is sum of log (1 - p), as logits
    # are log-odds already and all share the same normalisation.
    background = torch.zeros_like(best) if merge == "argmax" else -_odds_against(logits)
    place = torch.where(best > background, winner + 1, 0)
    # Bytes where they will do: what comes from a GPU comes slowly.
    kind = torch.uint8 if id_dtype(max(ids)) is np.uint8 else torch.int32
    known = torch.tensor([0, *ids], dtype=kind, device=logits.device)
    id_map = known[place].cpu().numpy().astype(id_dtype(max(ids)), copy=False)
    flat, places = place.flatten(), len(ids) + 1
    count = torch.bincount(flat, minlength=places)[1:]
    total = torch.bincount(flat, weights=best.sigmoid().flatten(), minlength=places)[1:]
    means = (total / count.clamp(min=1)).tolist()
    return id_map, dict(zip(ids, means, strict=True))


def _take(object_id: int, logits: Tensor) -> tuple[IdMap, dict[int, float]]:
    """What :func:`_compete` says of a single object, in fewer passes over the frame."""
    own = logits > 0
    score = logits[own].sigmoid().mean().nan_to_num().item()
    kind = id_dtype(object_id)
    id_map = own.cpu().numpy().astype(kind)
    return np.multiply(id_map, kind(object_id), out=id_map), {object_id: score}


def _odds_against(logits: Tensor) -> Tensor:
    """Log-odds that some object is there, (H, W): minus those of the background.

    The background has probability prod (1 - p); probabilities are kept 1e-7 from 0 and 1.
    """
    log_absent = -F.softplus(logits).sum(dim=0)
    absent = log_absent.exp().clamp(1e-7, 1 - 1e-7)
    return torch.log1p(-absent) - absent.log()
