"""What each preset says at tiny width, stored once: a change of the mathematics shows here.

Weights and inputs come from seeds through NumPy, so PyTorch's generators do not matter. Processors
round differently, so the values are of double precision, and another test holds that these networks
do not amplify rounding. After an intended change, ``python -m tests.models.test_golden`` writes the
file anew.
"""

from __future__ import annotations

import json
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from hs2s_core.models import build_model
from hs2s_core.models.layers import CLOSING_NORMS
from hs2s_core.models.presets import PRESETS

from .tiny import tiny

FILE = Path(__file__).resolve().parents[1] / "data" / "golden.json"
NAMES = sorted(PRESETS)


def fill(name: str, like: Tensor) -> Tensor:
    """A tensor of the shape of ``like`` from a seed that depends on its name alone."""
    if not like.is_floating_point():
        return like
    rng = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
    if name.endswith("running_var"):
        values = rng.uniform(0.5, 1.5, like.shape)
    elif like.ndim < 2:
        low, high = (-0.1, 0.1) if name.endswith(("bias", "mean")) else (0.5, 1.0)
        if f".{name}".split(".")[-2] in CLOSING_NORMS:
            low, high = 0.2 * low, 0.2 * high  # as training leaves them: not far from their start
        values = rng.uniform(low, high, like.shape)
    else:
        # The flow's refinements feed on themselves: less each, or rounding would grow with them.
        gain = 1.0 if name.startswith("flow_head.") else 3.0
        values = rng.normal(0, np.sqrt(gain / like[0].numel()), like.shape)
    return torch.from_numpy(np.asarray(values))


@cache
def summary(name: str, dtype: torch.dtype = torch.float64) -> tuple[list[float], list[float]]:
    """Eight logits, spread over frame 2, of a clip of 3 frames with 2 objects, and the flow.

    Flow is twelve values over all refinements and both axes where the network predicts it, else
    none.
    """
    model = build_model(tiny(name)).to(dtype).eval()
    # Norms stay in evaluation; the flow head works in training alone.
    model.training = model.config.flow
    model.load_state_dict({key: fill(key, value) for key, value in model.state_dict().items()})
    rng = np.random.Generator(np.random.PCG64(1))
    frames = torch.from_numpy(rng.normal(size=(3, 1, 3, 64, 96))).to(dtype)
    mask = torch.from_numpy(rng.uniform(size=(2, 1, 64, 96))).to(dtype)
    owner = torch.zeros(2, dtype=torch.int64)
    with torch.inference_mode():
        features = [model.encode(frame) for frame in frames]
        state = model.look_ahead(features[1:], model.begin(features[0], mask, owner), owner)
        for seen in features[1:]:
            output, state = model.step(seen, mask, state, owner)
            mask = output.logits.sigmoid()
    flow = [] if output.flow is None else output.flow.flatten()[:: 2 * 2 * 64 * 96 + 997]
    return (
        [float(value) for value in output.logits.flatten()[::1536]],
        [float(value) for value in flow],
    )


@pytest.mark.parametrize("name", NAMES)
def test_rounding_stays_small(name: str) -> None:
    """What single precision is off by is 1e9 times what double is, whose values are compared."""
    for exact, rough in zip(summary(name), summary(name, torch.float32), strict=True):
        scale = max(map(abs, exact), default=0.0)
        assert rough == pytest.approx(exact, rel=0, abs=1e-4 * scale)


@pytest.mark.parametrize("name", NAMES)
def test_predictions_are_those_stored(name: str) -> None:
    stored = json.loads(FILE.read_text())
    logits, flow = summary(name)
    assert logits == pytest.approx(stored[name], rel=1e-6, abs=1e-9)
    assert flow == pytest.approx(stored.get(f"{name} flow", []), rel=1e-6, abs=1e-9)


def test_only_flow_is_stored_beside_logits() -> None:
    flows = {f"{name} flow" for name in NAMES if PRESETS[name].flow}
    assert set(json.loads(FILE.read_text())) == set(NAMES) | flows


def _all() -> dict[str, list[float]]:
    values = {}
    for name in NAMES:
        logits, flow = summary(name)
        values[name] = logits
        if flow:
            values[f"{name} flow"] = flow
    return values


if __name__ == "__main__":
    FILE.write_text(json.dumps(_all(), indent=1) + "\n")
