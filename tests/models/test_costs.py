"""Parameters and multiply-adds, counted without memory on the meta device."""

from __future__ import annotations

import dataclasses

import pytest

from hs2s_core.config import PRESETS, ModelConfig
from hs2s_core.models.costs import count_costs

# Method spec section 8: preset -> parameters in M, multiply-adds in G of one step at 256 x 448.
COSTS = {
    "s2s": (67.7, 73.0),
    "s2s-star": (150.6, 56.0),
    "hs2s": (395.76, 176.9),
    "hs2s-first": (376.9, 160.9),
    "hs2s-previous": (376.9, 171.6),
    "hs2s-vgg16": (208.4, 151.6),
    "hs2s-resnet101": (433.7, 193.9),
    "hs2s-deeplab": (395.8, 220.6),
    "hs2s-deeplab-aspp": (423.2, 232.4),
    "hs2s-axial": (202.0, 95.9),
    "hs2s-deeprnn": (461.8, 184.3),
    "hs2s-tensor-train": (359.9, 172.9),
    "hs2s-cosine": (363.2, 168.7),
    "hs2s-attention": (371.9, 170.2),
    "bi-hs2s": (520.0, 187.4),
    "raft-hs2s": (399.1, 176.9),
}


def count(config: ModelConfig | str, *, training: bool = False) -> tuple[float, float]:
    """Parameters in M and multiply-adds in G of one step, one object."""
    costs = count_costs(config, training=training)
    return costs.parameters / 1e6, costs.multiply_adds / 1e9


@pytest.mark.parametrize("name", sorted(COSTS))
def test_parameters_and_multiply_adds(name: str) -> None:
    assert count(name) == pytest.approx(COSTS[name], rel=0.01)


def test_s2s_star_with_border_and_with_skip_memory() -> None:
    border = dataclasses.replace(PRESETS["s2s-star"], border=True)
    assert count(border) == pytest.approx((150.6, 61.5), rel=0.01)
    both = dataclasses.replace(border, skip_memory=True)
    assert count(both) == pytest.approx((363.0, 155.7), rel=0.01)


def test_flow_costs_while_training_only() -> None:
    _, inference = count("raft-hs2s")
    _, training = count("raft-hs2s", training=True)
    assert training - inference == pytest.approx(68.6, rel=0.01)


def test_hs2s_has_exactly_the_authors_parameters() -> None:
    assert round(count_costs("hs2s").parameters / 1e6, 2) == 395.76
