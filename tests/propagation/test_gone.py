"""An object seen weakly counts as gone until it is surely seen; it is followed all along."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from hs2s_core.models import build_model
from hs2s_core.models.config import LiteConfig
from hs2s_core.propagation import network
from hs2s_core.propagation.network import NetworkEngine
from tests.shapes import noise, square

SIZE = (48, 64)
CONFIDENCES = [0.9, 0.69, 0.75, 0.81, 0.71, 0.5, 0.79, 0.9]
GONE = [False, True, True, False, False, True, True, False]


def engine(seen_from: float) -> NetworkEngine:
    torch.manual_seed(3)
    config = LiteConfig(
        encoder="small", width=16, value_width=8, input_size=SIZE, seen_from=seen_from
    )
    model = build_model(config).eval()
    # Of random weights; with it, some pixels are the object's.
    model.get_parameter("decoder.logits.bias").data.fill_(0.0)
    return NetworkEngine(model)


def say(monkeypatch: pytest.MonkeyPatch, confidences: list[float]) -> None:
    """Let an object be as surely seen in each step as told."""
    left = iter(confidences)
    monkeypatch.setattr(network, "_confidence", lambda _: next(left))


def follow(of: NetworkEngine, frames: range) -> list[Tensor]:
    """Logits of an object that is given in frame 0."""
    found = []
    for number in frames:
        given = {1: square(8, 8, 24, SIZE)} if number == 0 else {}
        logits = of.step(noise(number, SIZE), given).logits
        if logits is not None:
            found.append(logits)
    return found


def test_a_weak_mask_is_not_shown_until_a_sure_one(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = range(len(CONFIDENCES) + 1)
    say(monkeypatch, CONFIDENCES)
    found = follow(engine(seen_from=0.7), frames)
    # It is compared with no frame of its own in between.
    monkeypatch.setattr(network, "_confidence", lambda _: 0.0)
    for logits, other, gone in zip(found, follow(engine(0.0), frames), GONE, strict=True):
        assert (other > 0).any()
        assert torch.equal(logits, other.clamp(max=network._UNSEEN) if gone else other)


def test_a_snapshot_knows_what_went(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = engine(seen_from=0.7), engine(seen_from=0.7)
    say(monkeypatch, [0.9, 0.69, 0.75, 0.75])
    follow(first, range(3))
    second.restore(first.snapshot())
    for each in (first, second):
        (logits,) = follow(each, range(3, 4))
        assert not (logits > 0).any()


def test_each_object_is_judged_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    both = engine(seen_from=0.7)
    both.step(noise(0, SIZE), {1: square(8, 8, 24, SIZE), 2: square(20, 30, 24, SIZE)})
    say(monkeypatch, [0.69, 0.9])
    logits = both.step(noise(1, SIZE), {}).logits
    assert logits is not None
    assert [bool((each > 0).any()) for each in logits] == [False, True]
