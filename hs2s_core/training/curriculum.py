"""What changes during a run: learning rate, scheduled sampling, batch-norm freeze.

Three kinds (method: paper section 4.1; "stable" is our reading of the paper's word):

* ``cosine``: everything at fixed shares of the run; the lite recipe.
* ``stable``: the paper's recipe. Sampling starts when the loss is stable; the decay of the
  learning rate waits until the ramp is over and the loss is stable again. Both are forced
  at a share of the run, so that a noisy loss cannot stall it.
* ``authors``: the fixed epochs of the authors' code.

Epochs are ``steps_per_epoch`` steps.
"""

from __future__ import annotations

import math
from copy import copy
from dataclasses import dataclass
from typing import Any, NamedTuple

from hs2s_core.checked.settings import Checked, setting
from hs2s_core.errors import InvalidConfig

MOMENTUM = 0.9
PATIENCE = 10
"""Epochs over which a stable loss falls by less than ``TOLERANCE`` of itself."""
TOLERANCE = 0.01
EARLIEST = 20
SAMPLING_EPOCH, FREEZE_EPOCH, DECAY_EPOCH = 300, 500, 650
"""Of the authors' code."""
_KEPT = ("sum", "count", "averages", "sampling_epoch", "decay_epoch")
"""What a curriculum learns of a run."""
DEFAULTS: dict[str, dict[str, float]] = {
    "cosine": {
        "final_rate": 0.02,
        "sampling_start": 0.05,
        "sampling_end": 0.4,
        "sampling_top": 1.0,
        "freeze": 0.8,
    },
    "stable": {"steps_per_epoch": 100, "sampling_top": 0.5},
    "authors": {"steps_per_epoch": 100},
}
"""Settings that each kind reads, and their values where none are given."""


@dataclass(frozen=True)
class Schedule(Checked):
    """The ``[schedule]`` section of a run; shares are of all steps.

    A setting that its kind does not read is ``None``, and refused where it is given.
    """

    kind: str = setting("cosine", choices=tuple(DEFAULTS))
    """``cosine`` (shares of the run), ``stable`` (the paper's recipe) or ``authors``."""
    warmup: int = setting(0, least=0)
    """Steps of linear rise of the learning rate at the start."""
    steps_per_epoch: int | None = setting(None, least=1)
    """``stable``, ``authors``: steps of an epoch (100)."""
    final_rate: float | None = setting(None, least=0, most=1)
    """``cosine``: learning rate at the end, as a fraction of the highest (0.02)."""
    sampling_start: float | None = setting(None, least=0, most=1)
    """``cosine``: share of the run after which sampling begins (0.05)."""
    sampling_end: float | None = setting(None, least=0, most=1)
    """``cosine``: share of the run at which its chance has reached ``sampling_top`` (0.4)."""
    sampling_top: float | None = setting(None, least=0, most=1)
    """``cosine``, ``stable``: highest chance that a step is fed the model's own prediction (1.0;
    ``stable``: the paper's 0.5)."""
    freeze: float | None = setting(None, least=0, most=1)
    """``cosine``: share of the run after which batch norms keep their statistics (0.8)."""

    def __post_init__(self) -> None:
        """Fill in what the kind reads; refuse what it would ignore."""
        super().__post_init__()
        reads = DEFAULTS[self.kind]
        for name in sorted({name for values in DEFAULTS.values() for name in values}):
            value = getattr(self, name)
            if value is None and name in reads:
                object.__setattr__(self, name, reads[name])
            elif value is not None and name not in reads:
                raise InvalidConfig(
                    f"{name} is {value!r}, which schedule {self.kind!r} would ignore; it reads "
                    f"warmup, {', '.join(reads)}"
                )

    @property
    def epoch(self) -> int:
        """Steps of an epoch; where the schedule has none, 1."""
        return self.steps_per_epoch or 1

    def read(self, name: str) -> float:
        """A setting that this kind reads."""
        value: float | None = getattr(self, name)
        assert value is not None
        return value


class StepSettings(NamedTuple):
    """What a step is trained with."""

    rate: float
    """Factor on the learning rate."""
    sampling: float
    """Chance, per object and step, that the model's own prediction is fed back."""
    freeze: bool
    """Whether batch norms keep their statistics."""


class Curriculum:
    """Settings by step. Tell it each step's loss with :meth:`observe`; it can be saved."""

    def __init__(self, schedule: Schedule, steps: int) -> None:
        self.schedule = schedule
        self.steps = steps
        self.epochs = max(1, steps // schedule.epoch)
        self.sum = 0.0
        self.count = 0
        self.averages: list[float] = []
        self.sampling_epoch: int | None = None
        self.decay_epoch: int | None = None

    def settings(self, step: int) -> StepSettings:
        """Settings of ``step`` (from 0)."""
        warm = min(1.0, (step + 1) / self.schedule.warmup) if self.schedule.warmup else 1.0
        if self.schedule.kind == "cosine":
            rate, sampling, freeze = self._cosine(step)
        elif self.schedule.kind == "authors":
            rate, sampling, freeze = self._authors(step // self.schedule.epoch)
        else:
            rate, sampling, freeze = self._stable(step // self.schedule.epoch)
        return StepSettings(warm * rate, sampling, freeze)

    def observe(self, step: int, loss: float) -> None:
        """Take note of a step's loss; at an epoch's end, look whether it is stable."""
        if self.schedule.kind != "stable":
            return
        self.sum += loss
        self.count += 1
        if (step + 1) % self.schedule.epoch:
            return
        mean = self.sum / self.count
        self.sum, self.count = 0.0, 0
        before = self.averages[-1] if self.averages else mean
        self.averages.append(MOMENTUM * before + (1 - MOMENTUM) * mean)
        epoch = len(self.averages)
        stable = self._is_stable(epoch)
        if self.sampling_epoch is None:
            if stable or epoch >= 0.40 * self.epochs:
                self.sampling_epoch = epoch
        elif self.decay_epoch is None:
            ramped = epoch >= self.sampling_epoch + self.epochs / 6 + PATIENCE
            if (ramped and stable) or epoch >= 0.867 * self.epochs:
                self.decay_epoch = epoch

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs, as plain numbers."""
        return {name: copy(getattr(self, name)) for name in _KEPT}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where :meth:`state_dict` was taken."""
        for name in _KEPT:
            setattr(self, name, copy(state[name]))

    def _is_stable(self, epoch: int) -> bool:
        """Whether the smoothed loss fell by less than 1 % over the last ten epochs."""
        if epoch < EARLIEST:
            return False
        now, then = self.averages[epoch - 1], self.averages[epoch - 1 - PATIENCE]
        return (then - now) / then < TOLERANCE

    def _cosine(self, step: int) -> StepSettings:
        read, warmup = self.schedule.read, self.schedule.warmup
        progress = max(0.0, (step - warmup) / max(1, self.steps - warmup))
        fall = 0.5 * (1 + math.cos(math.pi * progress))
        start, end = read("sampling_start") * self.steps, read("sampling_end") * self.steps
        ramp = min(1.0, max(0.0, (step - start) / max(1.0, end - start)))
        return StepSettings(
            read("final_rate") + (1 - read("final_rate")) * fall,
            read("sampling_top") * ramp,
            step >= read("freeze") * self.steps,
        )

    def _stable(self, epoch: int) -> StepSettings:
        sampling = 0.0
        if self.sampling_epoch is not None:
            ramp = (epoch - self.sampling_epoch + 1) / max(1.0, self.epochs / 6)
            sampling = self.schedule.read("sampling_top") * min(1.0, max(0.0, ramp))
        rate = 1.0
        if self.decay_epoch is not None:
            rate = 0.9 ** ((epoch - self.decay_epoch) // 5)
        return StepSettings(rate, sampling, epoch >= 0.667 * self.epochs)

    def _authors(self, epoch: int) -> StepSettings:
        """Sampling from epoch 300 by 0.004 an epoch, batch-norm freeze at 500, decay from 650."""
        sampling = min(0.5, 0.004 * max(0, epoch - SAMPLING_EPOCH))
        rate = 0.9 ** (max(0, epoch - DECAY_EPOCH) // 5)
        return StepSettings(rate, sampling, epoch >= FREEZE_EPOCH)
