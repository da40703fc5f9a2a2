"""Schedules: the authors' epochs, the stable detector, the cosine, and resuming."""

from __future__ import annotations

import pytest

from hs2s_core.errors import InvalidConfig
from hs2s_core.training.curriculum import Curriculum, Schedule

AUTHORS = Curriculum(Schedule("authors", steps_per_epoch=1), 750)


@pytest.mark.parametrize(
    ("epoch", "rate", "sampling", "freeze"),
    [
        (0, 1.0, 0.0, False),
        (300, 1.0, 0.0, False),
        (301, 1.0, 0.004, False),
        (425, 1.0, 0.5, False),
        (500, 1.0, 0.5, True),
        (654, 1.0, 0.5, True),
        (655, 0.9, 0.5, True),
        (749, 0.9**19, 0.5, True),
    ],
)
def test_the_authors_epochs(epoch: int, rate: float, sampling: float, freeze: bool) -> None:
    settings = AUTHORS.settings(epoch)
    assert settings == pytest.approx((rate, sampling, freeze))
    assert AUTHORS.settings(749).rate == pytest.approx(0.135, abs=5e-4)


def observe(curriculum: Curriculum, losses: list[float]) -> None:
    """One loss per epoch of one step."""
    for epoch, loss in enumerate(losses):
        curriculum.observe(epoch, loss)


def test_sampling_starts_when_the_loss_is_stable() -> None:
    """A loss that halves every few epochs and then rests: stable soon after it rests."""
    curriculum = Curriculum(Schedule("stable", steps_per_epoch=1, sampling_top=0.5), 600)
    observe(curriculum, [2 ** (-epoch / 5) + 1 for epoch in range(30)] + [1.0] * 100)
    assert curriculum.sampling_epoch is not None
    assert 30 < curriculum.sampling_epoch < 80
    assert curriculum.settings(curriculum.sampling_epoch - 1).sampling == 0
    ramp = curriculum.sampling_epoch + 100
    assert curriculum.settings(ramp).sampling == pytest.approx(0.5)
    assert curriculum.decay_epoch is None


def test_decay_waits_for_the_ramp() -> None:
    curriculum = Curriculum(Schedule("stable", steps_per_epoch=1), 600)
    observe(curriculum, [1.0] * 600)
    assert curriculum.sampling_epoch == 20
    assert curriculum.decay_epoch == 20 + 100 + 10
    assert curriculum.settings(130 + 10).rate == pytest.approx(0.81)


def test_a_restless_loss_is_forced_on() -> None:
    curriculum = Curriculum(Schedule("stable", steps_per_epoch=1), 600)
    observe(curriculum, [100 * 0.99**epoch for epoch in range(600)])
    assert curriculum.sampling_epoch == 240
    assert curriculum.decay_epoch == 521
    assert not curriculum.settings(400).freeze
    assert curriculum.settings(401).freeze


def test_cosine() -> None:
    schedule = Schedule(warmup=60, final_rate=0.02, sampling_top=1.0)
    curriculum = Curriculum(schedule, 600)
    assert curriculum.settings(0).rate == pytest.approx(1 / 60)
    assert curriculum.settings(60).rate == pytest.approx(1.0)
    assert curriculum.settings(600).rate == pytest.approx(0.02)
    assert curriculum.settings(0).sampling == 0
    assert curriculum.settings(599).sampling == 1.0
    assert curriculum.settings(599).freeze


def test_resume_goes_on_in_the_middle_of_an_epoch() -> None:
    losses = [3.0 / (step + 1) for step in range(100)]
    straight = Curriculum(Schedule("stable", steps_per_epoch=3), 100)
    for step, loss in enumerate(losses):
        straight.observe(step, loss)
    first = Curriculum(Schedule("stable", steps_per_epoch=3), 100)
    for step in range(50):
        first.observe(step, losses[step])
    second = Curriculum(Schedule("stable", steps_per_epoch=3), 100)
    second.load_state_dict(first.state_dict())
    for step in range(50, 100):
        second.observe(step, losses[step])
    assert second.state_dict() == straight.state_dict()


def test_unknown_kinds_are_refused() -> None:
    with pytest.raises(InvalidConfig, match="'linear'"):
        Schedule("linear")
