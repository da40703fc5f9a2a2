"""Losses: known values, gradients by finite differences, empty targets."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from hs2s_core.models.base import StepOutput
from hs2s_core.training import losses
from hs2s_core.training.losses import LOSS_PRESETS, LossWeights, step_loss

LOSSES = [
    losses.balanced_bce,
    losses.bce,
    losses.log_iou_loss,
    losses.iou_loss,
    losses.hard_bce,
]


@pytest.fixture
def target() -> Tensor:
    """Two objects of 5 x 6 pixels in double precision."""
    generator = torch.Generator().manual_seed(0)
    return (torch.rand(2, 1, 5, 6, generator=generator, dtype=torch.float64) > 0.6).double()


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients(loss: Callable[[Tensor, Tensor], Tensor], target: Tensor) -> None:
    torch.manual_seed(1)
    logits = torch.randn(target.shape, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda x: loss(x, target), (logits,))


def test_gradients_of_border_and_match(target: Tensor) -> None:
    torch.manual_seed(1)
    scores = torch.randn(2, 7, 5, 6, dtype=torch.float64, requires_grad=True)
    classes = torch.randint(0, 7, (2, 5, 6))
    assert gradcheck(lambda x: losses.border_loss(x, classes), (scores,))
    match = torch.rand(2, 2, 3, 3, dtype=torch.float64).mul(0.8).add(0.1).requires_grad_()
    assert gradcheck(lambda x: losses.match_loss(x, target), (match,))


@pytest.mark.parametrize("loss", LOSSES)
def test_right_is_cheaper_than_wrong(
    loss: Callable[[Tensor, Tensor], Tensor], target: Tensor
) -> None:
    right = loss((target - 0.5) * 20, target)
    assert right < 0.01
    assert loss(-(target - 0.5) * 20, target) > 50 * right


def test_balanced_bce_weighs_the_rarer_class() -> None:
    """Paper eq. 12: with a quarter of object pixels these weigh 0.75, the others 0.25."""
    target = torch.tensor([1.0, 0, 0, 0]).view(1, 1, 2, 2)
    zeros = torch.zeros(1, 1, 2, 2)
    expected = math.log(2) * (0.75 + 3 * 0.25) / 4
    assert losses.balanced_bce(zeros, target).item() == pytest.approx(expected)


def test_hard_pixels_are_mined_object_by_object() -> None:
    target = torch.zeros(2, 1, 10, 10)
    logits = torch.full_like(target, -9.0)
    logits[0, 0, 0, :3] = 4.0  # three wrong pixels of a hundred, all in one object
    wrong, right = math.log1p(math.exp(4.0)), math.log1p(math.exp(-9.0))
    expected = (3 * wrong + 27 * right) / 30
    assert losses.hard_bce(logits, target).item() == pytest.approx(expected)


def test_an_empty_target_costs_25_at_the_most() -> None:
    """At the paper's size and predicted full; a target that is not there has no IoU to raise."""
    empty = torch.zeros(1, 1, 256, 448)
    value = losses.log_iou_loss(torch.full_like(empty, 30.0), empty)
    assert value.item() == pytest.approx(math.log(256 * 448 / 1e-6), rel=1e-4)
    assert value.item() == pytest.approx(25.5, abs=0.05)
    assert losses.log_iou_loss(torch.full_like(empty, -30.0), empty).item() < 0.02
    assert losses.iou_loss(torch.ones_like(empty), empty) == 0


def test_step_loss_names_its_terms(target: Tensor) -> None:
    logits = torch.randn(target.shape)
    match = torch.rand(2, 2, 2, 3)
    output = StepOutput(logits, match=match)
    total, terms = step_loss(output, target.float(), LOSS_PRESETS["lite"])
    weights = LOSS_PRESETS["lite"]
    assert set(terms) == {"bce", "iou", "match"}
    expected = sum(getattr(weights, name) * value for name, value in terms.items())
    assert total.item() == pytest.approx(float(expected))
    _, only = step_loss(output, target.float(), LossWeights(balanced_bce=1.0))
    assert set(only) == {"balanced_bce"}


def test_what_is_not_a_number_makes_the_loss_one() -> None:
    """So that the run ends with what it says of a loss that is not finite, in every term."""
    match = torch.full((1, 2, 4, 4), 0.25)
    target = torch.ones(1, 1, 8, 8)
    assert losses.match_loss(match, target).item() == pytest.approx(math.log(4), rel=1e-5)
    match[0, 0, 0, 0] = float("nan")
    assert losses.match_loss(match, target).isnan()
