"""Parameters and multiply-adds, counted without memory on the meta device."""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from hs2s_core.models.config import ModelConfig, PaperConfig
from hs2s_core.models.costs import count_costs
from hs2s_core.models.layers import let_norms_through
from hs2s_core.models.paper.build import build_encoder
from hs2s_core.models.presets import PRESETS

pytestmark = pytest.mark.usefixtures("no_draws")

ENCODERS = ("encoder", "backbone_width", "width", "output_stride")
"""What `build_encoder` reads of a config, but for `skip_width`."""

# The design of every row: parameters in M; multiply-adds in G of one step at 256 x 448,
# of which the encoders, of which the rest; "training" is what a training step adds.
ROWS: list[dict[str, Any]] = json.loads(
    (Path(__file__).resolve().parents[1] / "data" / "costs.json").read_text()
)


def config_of(row: dict[str, Any]) -> ModelConfig:
    return dataclasses.replace(PRESETS[row["preset"]], **row.get("changes", {}))


def count_encoders(config: ModelConfig) -> int:
    """Multiply-adds of the encoders in each step, without what narrows k4 behind them."""
    with_mask = [config.system == "hs2s"] + [True] * ("previous" in config.references)
    # A row's other parts say nothing of its encoder, which many rows share.
    wide = {name: getattr(config, name) for name in ENCODERS}
    return sum(count_encoder(sees_mask, **wide) for sees_mask in with_mask)


@functools.cache
def count_encoder(with_mask: bool, **config: Any) -> int:
    with torch.device("meta"), torch.no_grad():
        frame, mask = torch.empty(1, 3, 256, 448), torch.empty(1, 1, 256, 448)
        encoder = build_encoder(PaperConfig(**config), with_mask=with_mask).eval()
        let_norms_through(encoder)
        with FlopCounterMode(display=False) as counter:
            encoder(encoder.stem(frame), mask)
    return counter.get_total_flops() // 2


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["row"])
def test_parameters_and_multiply_adds(row: dict[str, Any]) -> None:
    config = config_of(row)
    costs = count_costs(config)
    assert costs.parameters / 1e6 == pytest.approx(row["parameters"], rel=0.01)
    assert costs.multiply_adds / 1e9 == pytest.approx(row["step"], rel=0.01)
    encoders = count_encoders(config)
    # The spec estimated the axial encoder's attention products; its step agrees all the same.
    near = 0.05 if config.encoder == "axial_s" else 0.01
    assert encoders / 1e9 == pytest.approx(row["encoders"], rel=near)
    assert (costs.multiply_adds - encoders) / 1e9 == pytest.approx(row["rest"], rel=0.01)
    if "training" in row:
        more = count_costs(config, training=True).multiply_adds - costs.multiply_adds
        assert more / 1e9 == pytest.approx(row["training"], rel=0.01)


def test_every_preset_of_the_paper_has_a_row() -> None:
    """S2S++ aside, whose widths differ from the spec's; what is beyond the paper has none."""
    without = {"s2s++", "hs2s-best", "hs2s-lite", "s2s-lite"}
    assert {row["preset"] for row in ROWS} == set(PRESETS) - without


def test_hs2s_has_exactly_the_authors_parameters() -> None:
    assert round(count_costs("hs2s").parameters / 1e6, 2) == 395.76
