"""One pass over the frames of a clip: every stretch on a frame is stepped into it together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from hs2s_core.errors import HS2SError
from hs2s_core.media.images import RGBImage
from hs2s_core.media.masks import BoolMask
from hs2s_core.prompts import Prompts
from hs2s_core.propagation.blending import soften
from hs2s_core.propagation.engine import Engine, Prediction, SoftMask
from hs2s_core.propagation.frame_window import KeyFrames, Window
from hs2s_core.propagation.mask_log import CheckpointedMaskLog, MaskLog
from hs2s_core.propagation.timeline import Stretch

FrameMasks = tuple[int, dict[Stretch, SoftMask]]
"""A frame, and the masks in it."""


@dataclass(eq=False)
class ActiveStretch:
    """One stretch under way: masks from its log as far as that goes, then from an engine."""

    stretch: Stretch
    engine: Engine
    prompts: Prompts
    pictures: KeyFrames
    made: int = 0
    """Masks so far, read or made."""
    _running: bool = False

    def begin(self, window: Window, log: MaskLog | None) -> None:
        """Take up the key frame where the stretch begins, unless there are masks in its log."""
        self._log = log
        if log is not None and len(log):
            return
        start = self.stretch.start
        frame = self._existing(window.at(start), start)
        if not self.engine.online:
            self.engine.look_ahead(window.ahead(start))
        self.engine.step(frame, self._given(start))
        for key in self.stretch.keys[1:]:
            other = self._existing(self.pictures.at(key), key)
            self.engine.remember(other, self._given(key))
        self._running = True

    def logged(self) -> SoftMask | None:
        """The soft mask in the next frame where there is one in the log."""
        if self._log is None or self.made >= len(self._log):
            return None
        self.made += 1
        return self._log[self.made - 1]

    def prepare(self, number: int, window: Window) -> Engine:
        """The engine, about to step into frame ``number``."""
        if not self._running:
            assert isinstance(self._log, CheckpointedMaskLog)
            self.engine.restore(self._log.resume())
            self._running = True
        if not self.engine.online and window.enters(number):
            self.engine.look_ahead(window.ahead(number))
        return self.engine

    def accept(self, prediction: Prediction) -> SoftMask:
        """The soft mask of the step just made."""
        assert prediction.logits is not None
        mask = soften(prediction.logits[0])
        self.made += 1
        if self._log is not None:
            self._log.append(mask)
            self._checkpoint(now=False)
        return mask

    def end(self) -> None:
        """Keep the state, so that the stretch can go on where it stopped."""
        if self._running:
            self._checkpoint(now=True)

    def _checkpoint(self, *, now: bool) -> None:
        log = self._log
        if isinstance(log, CheckpointedMaskLog) and (now or log.due) and self.engine.between:
            log.checkpoint(self.engine.snapshot())

    def _existing(self, frame: RGBImage | None, number: int) -> RGBImage:
        """A key frame; refused where the clip ended early or the masks are of another size."""
        if frame is None:
            raise HS2SError(
                f"a mask is given for frame {number}, but the clip ended before it; the file may "
                "be damaged"
            )
        self.prompts.check((frame.shape[0], frame.shape[1]), None)
        return frame

    def _given(self, frame: int) -> dict[int, BoolMask]:
        return {self.stretch.object_id: self.prompts[frame][self.stretch.object_id]}


def _step(active: Sequence[ActiveStretch], number: int, window: Window) -> dict[Stretch, SoftMask]:
    """The soft masks in frame ``number``; none are made after the clip's end."""
    logged = {each: each.logged() for each in active}
    others = [each for each, mask in logged.items() if mask is None]
    frame = window.at(number) if others else None
    stepped: dict[ActiveStretch, SoftMask] = {}
    if frame is not None:
        engine, *siblings = [each.prepare(number, window) for each in others]
        predictions = zip(others, engine.step_together(siblings, frame), strict=True)
        stepped = {each: each.accept(prediction) for each, prediction in predictions}
    masks = {each: stepped.get(each) if mask is None else mask for each, mask in logged.items()}
    return {each.stretch: mask for each, mask in masks.items() if mask is not None}


class StretchRunner:
    """Frames of ``numbers``, each with the masks of the stretches that cover it.

    Ends with the clip. ``keep`` says where a stretch's masks go; ``known`` that all frames exist,
    so that those of which every mask is kept already need not be decoded.
    """

    def __init__(
        self,
        stretches: Iterable[ActiveStretch],
        numbers: Iterable[int],
        window: Window,
        keep: Callable[[Stretch], MaskLog | None],
        *,
        known: bool = False,
    ) -> None:
        self._waiting: dict[int, list[ActiveStretch]] = {}
        for each in stretches:
            self._waiting.setdefault(each.stretch.start, []).append(each)
        self._active: list[ActiveStretch] = []
        self._window = window
        self._keep = keep
        self._steps = self._run(numbers, known)

    def __iter__(self) -> StretchRunner:
        return self

    def __next__(self) -> FrameMasks:
        return next(self._steps)

    def _run(self, numbers: Iterable[int], known: bool) -> Iterator[FrameMasks]:
        active = self._active
        for number in numbers:
            if not known and self._window.at(number) is None:
                break
            masks = _step(active, number, self._window)
            for each in [each for each in active if each.stretch.end == number]:
                each.end()
                active.remove(each)
            for each in self._waiting.pop(number, []):
                each.begin(self._window, self._keep(each.stretch))
                active.append(each)
            yield number, masks
        for each in active:
            each.end()
        active.clear()
