"""A clip unrolled: what it is fed, what it costs, and what does not change that."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hs2s_core.errors import InvalidConfig
from hs2s_core.models import State, StepOutput, VideoSegmenter, build_model
from hs2s_core.models.inputs import normalise
from hs2s_core.models.presets import PRESETS
from hs2s_core.propagation import Propagator
from hs2s_core.propagation.network import NetworkEngine
from hs2s_core.training.batches import Batch
from hs2s_core.training.config import Unrolling
from hs2s_core.training.losses import LOSS_PRESETS, LossWeights, step_loss
from hs2s_core.training.unroll import Unroll

pytestmark = pytest.mark.usefixtures("one_thread")

NAMES = ("hs2s", "s2s++", "bi-hs2s", "raft-hs2s", "hs2s-deeprnn", "hs2s-lite")
SIZE = (64, 64)


def network(name: str) -> VideoSegmenter:
    """A tiny network in training mode, always the same one."""
    torch.manual_seed(0)
    config = PRESETS[name]
    if name in ("raft-hs2s", "hs2s-deeprnn"):  # for time; two others have the deep encoder
        config = dataclasses.replace(config, encoder="vgg16")
    if config.system != "lite":
        config = dataclasses.replace(config.scaled(32), init="fan_in")
    return build_model(config).train()


def losses_of(model: VideoSegmenter) -> LossWeights:
    """The weighting its family is trained with."""
    return LOSS_PRESETS["lite" if model.config.system == "lite" else "authors"]


def batch_of(length: int = 4) -> Batch:
    """Two clips with three objects, of ``length`` frames."""
    generator = torch.Generator().manual_seed(1)
    frames = torch.randn(length, 2, 3, *SIZE, generator=generator)
    masks = torch.zeros(length, 3, 1, *SIZE)
    for t in range(length):
        for b in range(3):
            masks[t, b, :, 8 + 9 * b : 30 + 9 * b, 5 + 6 * t : 25 + 6 * t] = 1
    draws = torch.rand(length, 3, generator=generator)
    borders = torch.randint(0, 42, (length, 3, *SIZE), generator=generator)
    return Batch(frames, masks, torch.tensor([0, 1, 1]), draws, borders)


# What it is fed


class Recorder(VideoSegmenter):
    """Predicts logits that tell step and object, and keeps the masks it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.zeros(()))
        self.fed: list[Tensor] = []

    def encode(self, frame: Tensor) -> Tensor:
        return frame

    def begin(self, features: Tensor, mask: Tensor, owner: Tensor) -> State:
        return State(features, torch.zeros(len(owner)))

    def step(
        self, features: Tensor, mask: Tensor, state: State, owner: Tensor
    ) -> tuple[StepOutput, State]:
        self.fed.append(mask)
        logits = self.logits(len(self.fed)) + self.offset
        return StepOutput(logits.expand(-1, 1, *SIZE)), state

    @staticmethod
    def logits(t: int) -> Tensor:
        return (0.1 * t + torch.tensor([-1.0, 0.0, 1.0])).view(3, 1, 1, 1)


@pytest.mark.parametrize("sampling", [0.0, 0.5, 1.0])
def test_predictions_are_fed_back_by_object_and_step(sampling: float) -> None:
    """A draw below the chance: that object is fed its own soft mask at that step, no other."""
    model, batch = Recorder(), batch_of(5)
    Unroll(model, LossWeights(bce=1.0))(batch, sampling)
    assert len(model.fed) == 4
    assert torch.equal(model.fed[0], batch.masks[0])
    choices = set()
    for t in range(1, 4):
        for b in range(3):
            own = bool(batch.draws[t, b] < sampling)
            choices.add(own)
            prediction = model.logits(t)[b].sigmoid().expand(1, *SIZE)
            expected = prediction if own else batch.masks[t, b]
            torch.testing.assert_close(model.fed[t][b], expected)
    assert choices == ({True, False} if sampling == 0.5 else {sampling == 1.0})


@pytest.mark.parametrize("detach", [False, True])
def test_gradients_pass_through_fed_back_masks_unless_cut(detach: bool) -> None:
    model = Recorder()
    Unroll(model, LossWeights(bce=1.0), Unrolling(detach=detach))(batch_of(3), 1.0)
    assert model.fed[1].requires_grad is not detach


# What it costs


@pytest.mark.parametrize("sampling", [0.0, 1.0])
@pytest.mark.parametrize("name", NAMES)
def test_unrolled_equals_step_by_step(name: str, sampling: float) -> None:
    """The loss is the mean over steps made one by one on frames encoded one by one."""
    batch = batch_of()
    model = network(name).eval()  # in training, frames share their batch statistics
    weights = dataclasses.replace(losses_of(model), flow=0.0)
    loss, terms = Unroll(model, weights)(batch, sampling)
    features = [model.encode(frame) for frame in batch.frames]
    state = model.begin(features[0], batch.masks[0], batch.owner)
    state = model.look_ahead(features[1:], state, batch.owner)
    mask, expected, named = batch.masks[0], [], []
    assert batch.borders is not None
    for t in range(1, len(batch.frames)):
        output, state = model.step(features[t], mask, state, batch.owner)
        total, parts = step_loss(output, batch.masks[t], weights, batch.borders[t])
        expected.append(total)
        named.append(parts)
        mask = output.logits.float().sigmoid() if sampling else batch.masks[t]
    torch.testing.assert_close(loss, torch.stack(expected).mean(), rtol=1e-4, atol=1e-4)
    assert set(terms) == set(named[0])
    for name, term in terms.items():
        mean = torch.stack([part[name] for part in named]).mean()
        torch.testing.assert_close(term, mean, rtol=1e-4, atol=1e-4)


def test_flow_joins_the_loss_with_its_weight() -> None:
    batch, model = batch_of(3), network("raft-hs2s")
    weights = losses_of(model)
    loss, terms = Unroll(model, weights)(batch, 0.0)
    assert {"flow", "border", "log_iou", "balanced_bce"} == set(terms)
    expected = sum(getattr(weights, name) * term.item() for name, term in terms.items())
    assert loss.item() == pytest.approx(expected, rel=1e-5)


# What does not change it


def trained(model: VideoSegmenter, batch: Batch, **settings: Any) -> tuple[Tensor, list[Tensor]]:
    """Loss and gradients of one step, all fed back; a model's random choices repeat."""
    torch.manual_seed(2)
    loss, _ = Unroll(model, losses_of(model), Unrolling(**settings))(batch, 1.0)
    loss.backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert gradients
    return loss, gradients


@pytest.mark.parametrize("name", [*NAMES, "hs2s-axial"])
def test_checkpointing_changes_nothing(name: str) -> None:
    """Loss, gradients and batch-norm statistics bit by bit, also where clips go in chunks."""
    plain, thrifty, batch = network(name), network(name), batch_of(3)
    loss, gradients = trained(plain, batch, chunk=2)
    same, others = trained(thrifty, batch, chunk=2, checkpointing=True)
    assert torch.equal(loss, same)
    for a, b in zip(gradients, others, strict=True):
        assert torch.equal(a, b)
    for (key, a), b in zip(plain.named_buffers(), thrifty.buffers(), strict=True):
        assert torch.equal(a, b), key


def test_checkpointing_keeps_less() -> None:
    """Activations of the image encoding, too: hardly more than what passes between parts."""
    batch = batch_of()

    def kept(checkpointing: bool) -> int:
        model, bytes_kept = network("hs2s-lite"), {}
        own = {p.data_ptr() for p in model.parameters()}

        def pack(x: Tensor) -> Tensor:
            if x.data_ptr() not in own:
                bytes_kept[x.data_ptr()] = x.untyped_storage().nbytes()
            return x

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            Unroll(model, losses_of(model), Unrolling(checkpointing=checkpointing))(batch, 1.0)
        return sum(bytes_kept.values())

    assert kept(True) < 0.4 * kept(False)


@pytest.mark.parametrize("name", NAMES)
def test_a_bfloat16_step_is_close_to_a_float32_one(name: str) -> None:
    batch = batch_of(3)
    exact, gradients = trained(network(name), batch)
    rough, others = trained(network(name), batch, precision="bfloat16")
    assert rough.dtype == torch.float32
    assert rough != exact
    assert rough.item() == pytest.approx(exact.item(), rel=0.005)
    flat = [torch.cat([g.flatten() for g in grads]) for grads in (gradients, others)]
    assert flat[1].isfinite().all()
    # Deep and random with batch norms over a few values, the others turn rounding into chaos.
    if name in ("hs2s", "s2s++"):
        assert torch.cosine_similarity(*flat, dim=0) > 0.9


# Chunks


class Chunks(Recorder):
    """Also keeps which frames it is shown ahead; a frame is told by its number."""

    online = False

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[list[int]] = []

    def look_ahead(self, features: Sequence[Tensor], state: State, owner: Tensor) -> State:
        self.shown.append([int(frame.mean()) for frame in features])
        return state


@pytest.mark.parametrize(
    ("chunk", "expected"),
    [
        (0, [[1, 2, 3, 4, 5, 6]]),
        (1, [[1], [2], [3], [4], [5], [6]]),
        (3, [[1, 2], [3, 4, 5], [6]]),
        (7, [[1, 2, 3, 4, 5, 6]]),
        (16, [[1, 2, 3, 4, 5, 6]]),
    ],
)
def test_chunks_are_those_of_propagation(chunk: int, expected: list[list[int]]) -> None:
    """The given frame is the first of the first chunk; the last one may be shorter."""
    batch = batch_of(7)
    numbers = torch.arange(7.0).view(7, 1, 1, 1, 1).expand_as(batch.frames)
    model = Chunks()
    Unroll(model, LossWeights(bce=1.0), Unrolling(chunk=chunk))(batch._replace(frames=numbers), 0.0)
    assert model.shown == expected


def test_a_bidirectional_network_sees_as_much_as_when_it_propagates() -> None:
    """Unrolled in chunks on its own masks, it says what a `Propagator` says in such chunks."""
    model = network("bi-hs2s").eval()
    model.config = dataclasses.replace(model.config, input_size=SIZE)
    generator = torch.Generator().manual_seed(3)
    frames = torch.randint(0, 255, (7, 1, 3, *SIZE), dtype=torch.uint8, generator=generator)
    masks = batch_of(7).masks[:, :1]
    batch = Batch(normalise(frames), masks, torch.tensor([0]), torch.zeros(7, 1))
    images = [np.ascontiguousarray(frame[0].permute(1, 2, 0).numpy()) for frame in frames]

    def unrolled(chunk: int) -> list[float]:
        """Mean probability of the object where it is likelier than not, by frame."""
        outputs: list[Tensor] = []
        step = model.step
        model.step = lambda *x: (outputs.append(step(*x)[0].logits), step(*x))[1]  # type: ignore
        with torch.inference_mode():
            Unroll(model, LossWeights(bce=1.0), Unrolling(chunk=chunk))(batch, 1.0)
        del model.step
        return [x[x > 0].sigmoid().mean().item() for x in outputs]

    engine = NetworkEngine(model)  # prepared once

    def propagated(chunk: int) -> list[float]:
        propagator, scores = Propagator(engine), []
        for start in range(0, 7, chunk):
            propagator.look_ahead(images[start : start + chunk])
            for t in range(start, min(start + chunk, 7)):
                given = {1: masks[0, 0, 0].numpy() > 0} if t == 0 else {}
                scores.append(propagator.step(images[t], given).scores[1])
        return scores[1:]

    for chunk in (1, 3, 7):
        assert unrolled(chunk) == pytest.approx(propagated(chunk), rel=1e-5)
    assert unrolled(0) == unrolled(7)
    assert unrolled(3) != pytest.approx(unrolled(7), rel=1e-5)


def test_a_negative_chunk_is_refused() -> None:
    with pytest.raises(InvalidConfig, match="chunk is -1"):
        Unrolling(chunk=-1)
