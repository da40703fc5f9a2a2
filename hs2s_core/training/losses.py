"""Losses of one step (paper eq. 11 and 12, and the authors' code; docs/method.md).

Logits and targets are (B, 1, H, W); targets are float in [0, 1]. Every loss is a scalar and
is pooled over the batch of all processes of a run, so that several small batches train
as one large one does.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from hs2s_core.checked.settings import Checked, setting
from hs2s_core.errors import InvalidConfig
from hs2s_core.models.base import StepOutput
from hs2s_core.models.config import LiteConfig, ModelConfig
from hs2s_core.training.processes import pooled

EPS = 1e-6
"""Keeps the logarithm of an IoU finite: an empty target of 256 x 448 pixels that is predicted full
costs 25.5, where the authors' 1e-15 makes it 46.2."""

HARD_SHARE = 0.15
"""Share of an object's pixels that :func:`hard_bce` looks at."""
REACH = 20
"""Pixels on each side of a border that have border classes, at the network's input size."""


@dataclass(frozen=True)
class LossWeights(Checked):
    """How much each term counts; a weight of 0 skips the term."""

    balanced_bce: float = setting(0.0, least=0)
    """Class-balanced cross entropy (paper eq. 12)."""
    log_iou: float = setting(0.0, least=0)
    """Minus the logarithm of the soft IoU of the whole batch (authors' code)."""
    border: float = setting(0.0, least=0)
    """Cross entropy of the border classes (paper eq. 11)."""
    bce: float = setting(0.0, least=0)
    """Plain cross entropy."""
    hard_bce: float = setting(0.0, least=0)
    """Cross entropy of each object's hardest 15 % of pixels."""
    iou: float = setting(0.0, least=0)
    """One minus the soft IoU of each object."""
    match: float = setting(0.0, least=0)
    """Cross entropy of the masks that matching alone transports (lite networks)."""
    flow: float = setting(0.0, least=0)
    """Photometric loss of the predicted flow (paper eq. 13)."""
    flow_smooth: float = setting(0.0, least=0)
    """Smoothness of the predicted flow, which the paper does not have."""

    def __post_init__(self) -> None:
        """Besides the fields' own limits: something is learned."""
        super().__post_init__()
        if not any(dataclasses.astuple(self)):
            raise InvalidConfig("all losses are 0, so nothing would be learned")

    def of_masks(self, model: ModelConfig) -> bool:
        """Whether any term is about what a network of ``model`` says of the masks of a step."""
        matched = self.match if isinstance(model, LiteConfig) and model.references else 0
        bordered = self.border if model.border else 0
        return bool(any(getattr(self, name) for name in _OF_MASKS) or matched or bordered)


LOSS_PRESETS: dict[str, LossWeights] = {
    # Paper eq. 11 with lambda = 0.8, which the paper leaves open.
    "paper": LossWeights(balanced_bce=0.8, border=0.2, flow=0.1),
    # What the authors' code trains, hence what made their weights.
    "authors": LossWeights(balanced_bce=0.6, log_iou=0.2, border=0.2, flow=0.1),
    # Ours, for the lite preset: unbiased at the 0.5 threshold; matching is supervised directly.
    "lite": LossWeights(bce=1.5, iou=1.0, match=0.5),
}
"""The weightings that have a name."""


def border_classes(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Class of each pixel of ``mask`` (H, W) bool: (H, W) int64 in 0 .. 2T + 1, T = ``REACH``.

    The target of the auxiliary task (paper eq. 11): on which side of the object's border a pixel
    lies and how far away, one class a pixel, as the authors' code counts.
    With d the distance to the other region in whole pixels: background pixels get T - d (0 when
    farther than T), object pixels T + 1 + d (2T + 1 when farther). Distances are exact Euclidean,
    rounded down; since the nearest other pixel is at least 1 away, classes T and T + 1 never
    occur. The authors' mapping has that gap and is kept.

    An empty mask is class 0 everywhere and a full one 2T + 1: the distance transform alone
    would measure from a corner that is not there.
    """
    if mask.all() or not mask.any():
        return np.where(mask, 2 * REACH + 1, 0)
    outside, inside = (
        np.floor(distance_transform_edt(region)).astype(np.int64) for region in (~mask, mask)
    )
    background = np.where(outside <= REACH, REACH - outside, 0)
    foreground = np.where(inside <= REACH, REACH + 1 + inside, 2 * REACH + 1)
    return np.where(mask, foreground, background)


def balanced_bce(logits: Tensor, target: Tensor) -> Tensor:
    """Class-balanced cross entropy (eq. 12), alpha = |Y-| / |Y| pooled over the batch.

    The paper's words would make ``1 - alpha`` negative; the authors' code is followed.
    """
    alpha = 1.0 - pooled_mean(target)
    weight = alpha * target + (1.0 - alpha) * (1.0 - target)
    return pooled_mean(F.binary_cross_entropy_with_logits(logits, target, weight, reduction="none"))


def bce(logits: Tensor, target: Tensor) -> Tensor:
    """Plain cross entropy, averaged over pixels."""
    return pooled_mean(F.binary_cross_entropy_with_logits(logits, target, reduction="none"))


def hard_bce(logits: Tensor, target: Tensor) -> Tensor:
    """Cross entropy of each object's hardest ``HARD_SHARE`` of pixels, averaged.

    Mines the pixels that are still wrong (the bootstrapped loss of segmentation networks), and
    counts a small object as much as a large one.
    """
    losses = F.binary_cross_entropy_with_logits(logits, target, reduction="none").flatten(1)
    hardest = losses.topk(max(1, round(HARD_SHARE * losses.shape[1])), dim=1, sorted=False)
    return pooled_mean(hardest.values)


def log_iou_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Minus the logarithm of the soft IoU, pooled over the batch (authors' code)."""
    probability = logits.sigmoid()
    both = (probability * target).sum()
    either = (probability + target - probability * target).sum()
    intersection, union = pooled(torch.stack([both, either]))
    loss: Tensor = -((intersection + EPS) / (union + EPS)).log()
    return loss


def iou_loss(logits: Tensor, target: Tensor) -> Tensor:
    """One minus the soft IoU of each object, averaged over objects with a non-empty target."""
    probability = logits.sigmoid().flatten(1)
    truth = target.flatten(1)
    intersection = (probability * truth).sum(1)
    union = (probability + truth - probability * truth).sum(1)
    present = (truth.sum(1) > 0).to(probability.dtype)
    missed = ((1.0 - intersection / (union + EPS)) * present).sum()
    return pooled_ratio(missed, present.sum())


def border_loss(scores: Tensor, classes: Tensor) -> Tensor:
    """Cross entropy of border ``scores`` (B, 42, H, W) against ``classes`` (B, H, W) int64."""
    return pooled_mean(F.cross_entropy(scores, classes, reduction="none"))


def match_loss(match: Tensor, target: Tensor) -> Tensor:
    """Cross entropy of masks transported by matching, (B, R, h, w) in [0, 1], at their size."""
    small = F.adaptive_avg_pool2d(target, (match.shape[2], match.shape[3])).expand_as(match)
    match = match.clamp(1e-4, 1 - 1e-4)
    cost = F.binary_cross_entropy(match.nan_to_num(0.5), small, reduction="none")
    # PyTorch refuses what is not a number; here, as in every other term, it makes the loss one.
    return pooled_mean(cost + 0 * match.detach())


def pooled_mean(values: Tensor) -> Tensor:
    """Mean of all elements over all processes."""
    return pooled_ratio(values.sum(), values.new_tensor(float(values.numel())))


def pooled_ratio(sums: Tensor, counts: Tensor) -> Tensor:
    """Sums over counts, both pooled over all processes; 0 where nothing was counted."""
    total, count = pooled(torch.stack([sums, counts]))
    ratio: Tensor = total / count.clamp(min=1.0)
    return ratio


_OF_MASKS = {
    "balanced_bce": balanced_bce,
    "log_iou": log_iou_loss,
    "bce": bce,
    "hard_bce": hard_bce,
    "iou": iou_loss,
}
"""Terms that every network has."""


def step_loss(
    output: StepOutput, target: Tensor, weights: LossWeights, border: Tensor | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    """Weighted sum of the terms of one step, and each term (detached) by name.

    ``border`` (B, H, W) int64 are the border classes, needed if that weight is not 0.
    """
    logits = output.logits.float()
    terms = {n: loss(logits, target) for n, loss in _OF_MASKS.items() if getattr(weights, n)}
    if weights.border and output.border is not None and border is not None:
        terms["border"] = border_loss(output.border.float(), border)
    if weights.match and output.match is not None and output.match.shape[1]:
        terms["match"] = match_loss(output.match.float(), target)
    total = torch.stack([getattr(weights, name) * term for name, term in terms.items()]).sum()
    return total, {name: term.detach() for name, term in terms.items()}
