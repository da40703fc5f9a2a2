"""A network as an engine: every object in one batch, state constant in size."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hs2s_core.errors import HS2SError
from hs2s_core.media.images import RGBImage, check_rgb
from hs2s_core.media.masks import BoolMask
from hs2s_core.models.base import State, StepOutput, VideoSegmenter, join_states, select_objects
from hs2s_core.models.config import LiteConfig
from hs2s_core.models.inputs import network_size
from hs2s_core.propagation.engine import Engine, Prediction
from hs2s_core.propagation.prepared import PreparedNetwork, resize
from hs2s_core.propagation.snapshot import Snapshot, pack, unpack

Size = tuple[int, int]
Stepped = tuple[StepOutput, State]

BANK_FRAMES = 2
"""Predicted frames, besides the given ones, that an object is compared with at most."""
BANK_EVERY = 5
"""Frames from one that may be taken up to the next; the oldest makes room."""
BANK_CONFIDENCE = 0.8
"""Mean probability of an object's pixels from which its predicted mask is taken up.

All three are from the validation videos; docs/weights.md has what they give.
"""
BACK_CONFIDENCE = 0.8
"""The same, from which an object counts as seen again that went (``seen_from`` of its network)."""
_UNSEEN = -0.02
"""Log-odds of the pixels of an object that is gone at most: just below those that are shown."""


@dataclass
class _Past:
    """What an object is compared with."""

    followed: int = 0
    """Frames since it started."""
    given: int = 1
    """Key frames."""
    own: int = 0
    """Predicted frames so far; the last few of them are still there."""
    gone: bool = False
    """It was seen so weakly that it counts as gone until it is surely seen."""


class NetworkEngine:
    """A :class:`VideoSegmenter` as :class:`hs2s_core.propagation.engine.Engine`.

    Each object is segmented on its own and fed back its own soft mask at the network's size, so an
    object that enters later leaves the probabilities of the others as they were. A network that
    compares with several frames also gets a few predicted ones of which it was sure, so that it
    knows what the object came to look like. ``speed`` is ``exact``, ``fast`` or ``auto``
    (:func:`choose_pace`); None takes the model's own.
    """

    def __init__(self, model: VideoSegmenter, speed: str | None = None) -> None:
        self._share(PreparedNetwork(model, speed or model.speed))

    def _share(self, network: PreparedNetwork) -> None:
        self._network = network
        self.model = network.model
        self.device = network.device
        self.online = self.model.online
        self.references = type(self.model).remember is not VideoSegmenter.remember
        config = self.model.config
        self._seen_from = config.seen_from if isinstance(config, LiteConfig) else 0.0
        # Layers of the small networks are too small for many threads; the paper's are not, and
        # take gigabytes.
        self.at_once = self.device.type == "cpu" and isinstance(self.model.config, LiteConfig)
        self.start()

    def sibling(self) -> NetworkEngine:
        """See :meth:`Engine.sibling`."""
        other = type(self).__new__(type(self))
        other._share(self._network)
        return other

    @property
    def given(self) -> VideoSegmenter:
        """The network as it was given, :attr:`model` being its copy for inference."""
        return self._network.given

    @property
    def weights(self) -> str:
        """A digest of the weights that were given."""
        return self._network.weights

    @property
    def between(self) -> bool:
        """See :attr:`Engine.between`."""
        return not self._ahead

    def start(self) -> None:
        """See :meth:`Engine.start`."""
        self._frame_size: Size | None = None
        self._ids: list[int] = []
        self._state: State | None = None
        self._masks: Tensor | None = None
        self._pasts: list[_Past] = []
        self._ahead: deque[Any] = deque()

    @torch.inference_mode()
    def look_ahead(self, frames: Sequence[RGBImage]) -> None:
        """See :meth:`Engine.look_ahead`.

        Memory holds the features of all of them, so a long clip goes in several chunks. An online
        network needs none of this.
        """
        if self._ahead:
            raise HS2SError(
                f"{len(self._ahead)} frames looked at are left; step through them first"
            )
        if not frames:
            raise HS2SError("no frame to look at; expected at least one")
        inner = self._inner(self._check_frame(frames[0]))
        with self._network.telling(f"{len(frames)} frames at once (a smaller chunk needs less)"):
            self._ahead.extend(self._network.features(frames, inner))
            if self._state is not None:
                owner = self._owner(len(self._ids))
                self._state = self.model.look_ahead(list(self._ahead), self._state, owner)

    @torch.inference_mode()
    def step(self, frame: RGBImage, prompts: Mapping[int, BoolMask]) -> Prediction:
        """See :meth:`Engine.step`.

        Raises HS2SError on a frame of another size or type, and where memory is exhausted by one
        object at a time; before that, objects are followed in smaller batches.
        """
        inner = self._inner(self._check_frame(frame))
        with self._network.telling("one frame and one object at a time"):
            return self._step(frame, prompts, inner)

    def _step(self, frame: RGBImage, prompts: Mapping[int, BoolMask], inner: Size) -> Prediction:
        features = self._ahead.popleft() if self._ahead else None
        if features is None and (prompts or self._ids):
            if not self.online:
                raise HS2SError(
                    "this network sees frames before it segments them; call look_ahead() with the "
                    "next frames first, or use propagate()"
                )
            (features,) = self._network.features([frame], inner)
        ids = tuple(self._ids)
        logits = self._predict([self], features)[0] if ids else None
        if prompts:
            self._enter(features, prompts, inner)
        return Prediction(ids, logits)

    @torch.inference_mode()
    def step_together(self, others: Sequence[Engine], frame: RGBImage) -> list[Prediction]:
        """See :meth:`Engine.step_together`."""
        engines = [self, *others]
        siblings = [each for each in engines if isinstance(each, NetworkEngine)]
        counts = {len(each._ids) for each in siblings}
        if not self.online or len(siblings) < len(engines) or len(counts) > 1 or 0 in counts:
            return [engine.step(frame, {}) for engine in engines]
        sizes = [each._check_frame(frame) for each in siblings]
        with self._network.telling("one frame and one object at a time"):
            (features,) = self._network.features([frame], self._inner(sizes[0]))
            logits = self._predict(siblings, features)
        return [
            Prediction(tuple(each._ids), found)
            for each, found in zip(siblings, logits, strict=True)
        ]

    @torch.inference_mode()
    def remember(self, frame: RGBImage, masks: Mapping[int, BoolMask]) -> None:
        """See :meth:`Engine.remember`."""
        assert self._state is not None, "objects start before further key frames are shown"
        assert not any(past.own for past in self._pasts), "and are followed after that"
        inner = self._inner(self._check_frame(frame))
        given = self._to_masks([masks[object_id] for object_id in self._ids], inner)
        owner = self._owner(len(self._ids))
        with self._network.telling("one more key frame"):
            (features,) = self._network.features([frame], inner)
            self._state = self.model.remember(features, given, self._state, owner)
        for past in self._pasts:
            past.given += 1

    def snapshot(self) -> Snapshot:
        """See :meth:`Engine.snapshot`; only when no frame that was looked at is left."""
        if self._ahead:
            raise HS2SError(f"{len(self._ahead)} frames looked at are left; step through them")
        tensors, tree = pack((self._state, self._masks))
        pasts = [astuple(past) for past in self._pasts]
        meta = {
            "weights": self.weights,
            "ids": self._ids,
            "size": self._frame_size,
            "pasts": pasts,
            "tree": tree,
        }
        return Snapshot(tensors, meta)

    def restore(self, snapshot: Snapshot) -> None:
        """See :meth:`Engine.restore`.

        Raises HS2SError for a snapshot of another network.
        """
        # Those of earlier versions do not say whose they are.
        if snapshot.meta.get("weights", self.weights) != self.weights:
            raise HS2SError(
                "this snapshot is of another network; expected one of the same weights. Load "
                "those with which it was made, or start anew from the objects' masks."
            )
        self.start()
        self._ids = list(snapshot.meta["ids"])
        self._pasts = [_Past(*past) for past in snapshot.meta["pasts"]]
        size = snapshot.meta["size"]
        self._frame_size = None if size is None else (size[0], size[1])
        self._state, self._masks = unpack(snapshot.tensors, snapshot.meta["tree"], self.device)

    def _check_frame(self, frame: RGBImage) -> Size:
        size = check_rgb(frame)
        if self._frame_size not in (None, size):
            raise HS2SError(
                f"a frame is {size}, the frames before it {self._frame_size} (height, width); "
                "start anew before another clip"
            )
        self._frame_size = size
        return size

    def _inner(self, size: Size) -> Size:
        config = self.model.config
        return network_size(size, config.input_size, self.model.stride, config.keep_aspect)

    def _owner(self, objects: int) -> Tensor:
        """All objects belong to the one clip there is."""
        return torch.zeros(objects, dtype=torch.int64, device=self.device)

    def _to_masks(self, masks: Sequence[BoolMask], inner: Size) -> Tensor:
        small = np.stack([resize(mask.astype(np.float32), inner) for mask in masks])
        return self._network.upload(torch.from_numpy(small)[:, None]).to(self._network.dtype)

    def _predict(self, siblings: Sequence[NetworkEngine], features: object) -> list[Tensor]:
        """Logits (B, h, w) of each, which all have B objects; they keep what comes of it."""
        states = [each._state for each in siblings if each._state is not None]
        masks = [each._masks for each in siblings if each._masks is not None]
        owner = self._owner(len(self._ids))

        def step(part: Tensor | None) -> list[Stepped]:
            places = range(len(siblings)) if part is None else part.tolist()
            if len(places) == 1:
                return [self._step_objects(features, masks[places[0]], states[places[0]])]
            own = [states[place] for place in places]
            return self.model.step_each(features, [masks[place] for place in places], own, owner)

        found = chain.from_iterable(self._network.batched(step, len(siblings)))
        return [each._keep(features, *result) for each, result in zip(siblings, found, strict=True)]

    def _step_objects(self, features: object, masks: Tensor, state: State) -> Stepped:
        """One engine's objects (B), in batches that memory allows."""

        def step(part: Tensor | None) -> Stepped:
            own = (masks, state)
            if part is not None:
                own = (masks[part], select_objects(state, part))
            owner = self._owner(len(own[0]))
            return self.model.step_each(features, [own[0]], [own[1]], owner)[0]

        found = self._network.batched(step, len(masks))
        if len(found) == 1:
            return found[0]
        logits = torch.cat([output.logits for output, _ in found])
        return StepOutput(logits), join_states([state for _, state in found])

    def _keep(self, features: object, output: StepOutput, state: State) -> Tensor:
        """The soft masks and the state for the next step; returns logits (B, h, w)."""
        self._state = state
        logits = output.logits.float()
        self._masks = logits.sigmoid().to(self._network.dtype)
        seen_from = self._seen_from
        due: dict[int, list[int]] = {}
        for place, past in enumerate(self._pasts):
            past.followed += 1
            compare = self.references and past.followed % BANK_EVERY == 0
            if not compare and not seen_from:
                continue
            confidence = _confidence(logits[place])
            if compare and confidence >= BANK_CONFIDENCE:
                due.setdefault(past.given + past.own % BANK_FRAMES, []).append(place)
                past.own += 1
            past.gone = confidence < (BACK_CONFIDENCE if past.gone else seen_from)
        for slot, places in due.items():
            self._take_up(features, places, slot)
        gone = [place for place, past in enumerate(self._pasts) if past.gone]
        if gone:
            logits[gone] = logits[gone].clamp(max=_UNSEEN)
        return logits[:, 0]

    def _take_up(self, features: object, places: Sequence[int], slot: int) -> None:
        """Compare the objects at ``places`` also with the frame just predicted, put at ``slot``."""
        before, masks = self._state, self._masks
        assert before is not None
        assert masks is not None
        own = torch.tensor(places, device=self.device)
        rest = [place for place in range(len(self._ids)) if place not in places]

        def remember(part: Tensor | None) -> State:
            chosen = own if part is None else own[part]
            state = before if len(chosen) == len(self._ids) else select_objects(before, chosen)
            owner = self._owner(len(chosen))
            return self.model.remember(features, masks[chosen], state, owner, slot)

        states = self._network.batched(remember, len(places))
        if rest:
            states.append(select_objects(before, torch.tensor(rest, device=self.device)))
        self._state = states[0]
        if len(states) > 1:
            order = torch.tensor([*places, *rest], device=self.device).argsort()
            self._state = select_objects(join_states(states), order)

    def _enter(self, features: object, given: Mapping[int, BoolMask], inner: Size) -> None:
        """Start (or restart) the given objects in one batch and join the others'."""
        masks = all_masks = self._to_masks(list(given.values()), inner)
        owner = self._owner(len(given))

        def begin(part: Tensor | None) -> State:
            chosen = all_masks if part is None else all_masks[part]
            return self.model.begin(features, chosen, self._owner(len(chosen)))

        state, *rest = begun = self._network.batched(begin, len(given))
        if rest:
            state = join_states(begun)
        if self._ahead:
            state = self.model.look_ahead(list(self._ahead), state, owner)
        stay = [place for place, object_id in enumerate(self._ids) if object_id not in given]
        if self._state is not None and self._masks is not None and stay:
            index = torch.tensor(stay, device=self.device)
            state = join_states([select_objects(self._state, index), state])
            masks = torch.cat([self._masks[index], masks])
        self._pasts = [self._pasts[place] for place in stay] + [_Past() for _ in given]
        self._ids = [self._ids[place] for place in stay] + list(given)
        self._state, self._masks = state, masks


def _confidence(logits: Tensor) -> float:
    """The mean probability of an object's pixels, 0 where there is none."""
    own = logits[logits > 0]
    return own.sigmoid().mean().item() if own.numel() else 0.0
