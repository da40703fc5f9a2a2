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
from dataclasses import dataclass
from typing import Any, NamedTuple

from hs2s_core.errors import InvalidConfig

KINDS = ("cosine", "stable", "authors")
MOMENTUM = 0.9
PATIENCE = 10
"""Epochs over which a stable loss falls by less than ``TOLERANCE`` of itself."""
TOLERANCE = 0.01
EARLIEST = 20


@dataclass(frozen=True)
class Schedule:
    """The ``[schedule]`` section of a run; shares are of all steps."""

    kind: str = "cosine"
    steps_per_epoch: int = 100
    warmup: int = 0
    """Steps of linear rise of the learning rate at the start."""
    final_rate: float = 0.02
    """``cosine``: learning rate at the end, as a fraction of the highest."""
    sampling_start: float = 0.05
    """``cosine``: share of the run after which sampling begins."""
    sampling_end: float = 0.4
    """``cosine``: share of the run at which its chance has reached ``sampling_top``."""
    sampling_top: float = 1.0
    """Highest chance that a step is fed the model's own prediction; the paper's is 0.5."""
    freeze: float = 0.8
    """``cosine``: share of the run after which batch norms keep their statistics."""

    def __post_init__(self) -> None:
        """Refuse an unknown kind and impossible numbers."""
        if self.kind not in KINDS:
            raise InvalidConfig(
                f"schedule kind is {self.kind!r}; expected one of {', '.join(KINDS)}"
            )
        if self.steps_per_epoch < 1:
            raise InvalidConfig(f"steps_per_epoch is {self.steps_per_epoch}; expected at least 1")


class Settings(NamedTuple):
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
        self.epochs = max(1, steps // schedule.steps_per_epoch)
        self._sum = 0.0
        self._count = 0
        self._averages: list[float] = []
        self.sampling_epoch: int | None = None
        self.decay_epoch: int | None = None

    def settings(self, step: int) -> Settings:
        """Settings of ``step`` (from 0)."""
        warm = min(1.0, (step + 1) / self.schedule.warmup) if self.schedule.warmup else 1.0
        if self.schedule.kind == "cosine":
            rate, sampling, freeze = self._cosine(step)
        elif self.schedule.kind == "authors":
            rate, sampling, freeze = self._authors(step // self.schedule.steps_per_epoch)
        else:
            rate, sampling, freeze = self._stable(step // self.schedule.steps_per_epoch)
        return Settings(warm * rate, sampling, freeze)

    def observe(self, step: int, loss: float) -> None:
        """Take note of a step's loss; at an epoch's end, look whether it is stable."""
        self._sum += loss
        self._count += 1
        if (step + 1) % self.schedule.steps_per_epoch:
            return
        mean = self._sum / self._count
        self._sum, self._count = 0.0, 0
        before = self._averages[-1] if self._averages else mean
        self._averages.append(MOMENTUM * before + (1 - MOMENTUM) * mean)
        epoch = len(self._averages)
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
        return {
            "sum": self._sum,
            "count": self._count,
            "averages": list(self._averages),
            "sampling_epoch": self.sampling_epoch,
            "decay_epoch": self.decay_epoch,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where :meth:`state_dict` was taken."""
        self._sum, self._count = state["sum"], state["count"]
        self._averages = list(state["averages"])
        self.sampling_epoch, self.decay_epoch = state["sampling_epoch"], state["decay_epoch"]

    def _is_stable(self, epoch: int) -> bool:
        """Whether the smoothed loss fell by less than 1 % over the last ten epochs."""
        if epoch < EARLIEST:
            return False
        now, then = self._averages[epoch - 1], self._averages[epoch - 1 - PATIENCE]
        return (then - now) / then < TOLERANCE

    def _cosine(self, step: int) -> Settings:
        schedule = self.schedule
        progress = max(0.0, (step - schedule.warmup) / max(1, self.steps - schedule.warmup))
        fall = 0.5 * (1 + math.cos(math.pi * progress))
        start, end = schedule.sampling_start * self.steps, schedule.sampling_end * self.steps
        ramp = min(1.0, max(0.0, (step - start) / max(1.0, end - start)))
        return Settings(
            schedule.final_rate + (1 - schedule.final_rate) * fall,
            schedule.sampling_top * ramp,
            step >= schedule.freeze * self.steps,
        )

    def _stable(self, epoch: int) -> Settings:
        sampling = 0.0
        if self.sampling_epoch is not None:
            ramp = (epoch - self.sampling_epoch + 1) / max(1.0, self.epochs / 6)
            sampling = self.schedule.sampling_top * min(1.0, max(0.0, ramp))
        rate = 1.0
        if self.decay_epoch is not None:
            rate = 0.9 ** ((epoch - self.decay_epoch) // 5)
        return Settings(rate, sampling, epoch >= 0.667 * self.epochs)

    def _authors(self, epoch: int) -> Settings:
        """Sampling from epoch 300 by 0.004 an epoch, batch-norm freeze at 500, decay from 650."""
        sampling = min(0.5, 0.004 * max(0, epoch - 300))
        rate = 0.9 ** (max(0, epoch - 650) // 5)
        return Settings(rate, sampling, epoch >= 500)
