"""Any encoder with any memory, fusion and direction (paper tables 3 to 5, freely combined)."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections import defaultdict
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from hs2s_core.models import build_model
from hs2s_core.models.config import FUSIONS, MEMORIES, ModelConfig, PaperConfig
from hs2s_core.models.paper.build import build_encoder
from hs2s_core.models.paper.encoders import Encoder

from .test_contract import clip, unroll, zeros
from .tiny import tiny

PARTS: dict[str, tuple[object, ...]] = {
    "encoder": ("resnet50", "resnet101", "vgg16", "deeplab", "deeplab_aspp", "axial_s"),
    "memory": MEMORIES,
    "fusion": FUSIONS[:3],
    "system": ("hs2s", "bidirectional"),
    "skip_memory": (True, False),
}
ALL = [dict(zip(PARTS, parts, strict=True)) for parts in itertools.product(*PARTS.values())]
S2S = [
    {"encoder": encoder, "memory": memory, "skip_memory": skip}
    for encoder, memory, skip in itertools.product(PARTS["encoder"], MEMORIES, (True, False))
]


def config_of(parts: dict[str, object], preset: str = "hs2s") -> ModelConfig:
    # A backbone of 16 is the least that the axial encoder takes.
    return dataclasses.replace(tiny(preset), backbone_width=16, **parts)  # type: ignore[arg-type]


def pairs(parts: dict[str, object]) -> set[tuple[tuple[str, object], ...]]:
    return set(itertools.combinations(parts.items(), 2))


def covering(combinations: list[dict[str, object]]) -> Iterator[dict[str, object]]:
    """Few of ``combinations``, in which each pair of parts meets at least once."""
    missing = set().union(*map(pairs, combinations))
    while missing:
        best = max(combinations, key=lambda parts: len(missing & pairs(parts)))
        missing -= pairs(best)
        yield best


COVERING = list(covering(ALL))


def count_parameters(part: nn.Module) -> int:
    return sum(parameter.numel() for parameter in part.parameters())


@functools.cache
def known_encoder(name: str, with_mask: bool) -> Encoder:
    return build_encoder(config_of({"encoder": name}), with_mask=with_mask)  # type: ignore[arg-type]


def encoder_once(config: PaperConfig, *, with_mask: bool = True) -> Encoder:
    return known_encoder(config.encoder, with_mask)


@pytest.mark.usefixtures("no_draws")
def test_all_are_built_of_the_parts_they_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """On meta tensors. What a memory costs does not depend on the other parts, and so on."""
    with torch.device("meta"):
        for parts in COVERING:  # what an encoder costs: here each meets each of the other parts
            config = config_of(parts)
            assert isinstance(config, PaperConfig)
            assert count_parameters(build_encoder(config)) == count_parameters(encoder_once(config))
        # What is left of the time are the encoders: each is built once for all networks.
        monkeypatch.setattr("hs2s_core.models.paper.hs2s.build_encoder", encoder_once)
        counts = {
            tuple(parts.values()): count_parameters(build_model(config_of(parts))) for parts in ALL
        }
    assert len(counts) == 216
    memories, fusions = defaultdict(set), defaultdict(set)
    for (encoder, memory, fusion, system, skip), count in counts.items():
        base = counts[encoder, MEMORIES[0], fusion, system, skip]
        memories[memory, system].add(count - base)
        base = counts[encoder, memory, FUSIONS[0], system, skip]
        # The skip memory has a fusion of its own, as wide as the encoder's k4.
        fusions[fusion, encoder if skip else None].add(count - base)
    for differences in (memories, fusions):
        assert {key: len(found) for key, found in differences.items() if len(found) > 1} == {}
        unlike = {key for key, found in differences.items() if found != {0}}
        assert unlike == {key for key in differences if key[0] not in (MEMORIES[0], FUSIONS[0])}


@pytest.mark.parametrize("parts", COVERING, ids=lambda parts: "-".join(map(str, parts.values())))
def test_pairs_of_parts_run(parts: dict[str, object]) -> None:
    """Forward in training mode, where the flow head of every other one runs too."""
    torch.manual_seed(0)
    flow = COVERING.index(parts) % 2 == 0
    model = build_model(dataclasses.replace(config_of(parts), flow=flow)).train()
    frames, masks = clip(2)
    with torch.inference_mode():
        logits, _ = unroll(model, frames[:3], masks, zeros(2))
    assert [x.shape for x in logits] == [(2, 1, 64, 96)] * 2
    assert all(x.isfinite().all() for x in logits)


def test_few_runs_cover_all_pairs() -> None:
    assert len(COVERING) < 30
    assert set().union(*map(pairs, COVERING)) == set().union(*map(pairs, ALL))


@pytest.mark.usefixtures("no_draws")
@pytest.mark.parametrize(
    "parts", list(covering(S2S)), ids=lambda parts: "-".join(map(str, parts.values()))
)
def test_s2s_takes_every_encoder_and_memory(parts: dict[str, object]) -> None:
    with torch.device("meta"):
        model = build_model(config_of(parts, "s2s-star")).eval()
        frame, mask, owner = torch.empty(1, 3, 64, 96), torch.empty(1, 1, 64, 96), zeros(1)
        features = model.encode(frame)
        output, _ = model.step(features, mask, model.begin(features, mask, owner), owner)
    assert output.logits.shape == (1, 1, 64, 96)


@pytest.mark.parametrize("system", ["hs2s", "bidirectional", "s2s"])
@pytest.mark.parametrize("encoder", ["deeplab_aspp", "vgg16"])
def test_narrow_skips_and_finer_strides_run(system: str, encoder: str) -> None:
    """The settings of the cost table's rows that are no presets."""
    torch.manual_seed(0)
    preset = {"hs2s": "hs2s", "bidirectional": "bi-hs2s", "s2s": "s2s-star"}[system]
    config = dataclasses.replace(
        tiny(preset), encoder=encoder, skip_memory=True, skip_width=8, fusion_inner=8
    )
    if encoder == "deeplab_aspp":
        config = dataclasses.replace(config, output_stride=8)
    model = build_model(config).eval()
    frames, masks = clip(1, (65, 97))
    with torch.inference_mode():
        logits, _ = unroll(model, frames[:3], masks, zeros(1))
    assert logits[-1].shape == (1, 1, 65, 97)
    assert logits[-1].isfinite().all()
