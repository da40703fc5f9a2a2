"""Training runs: deterministic by seed, exact on resume, and they learn."""

from __future__ import annotations

import copy
import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from hs2s_core.errors import InvalidConfig
from hs2s_core.models import build_model
from hs2s_core.models.paper.flow import RAFTHead
from hs2s_core.models.presets import PRESETS, preset
from hs2s_core.training.batches import ClipItems, batches, collate
from hs2s_core.training.config import FolderConfig, Stage, ValidationConfig
from hs2s_core.training.curriculum import Schedule
from hs2s_core.training.loop import Record, train, update_average
from hs2s_core.training.losses import LOSS_PRESETS
from hs2s_core.training.run_file import read_config
from hs2s_core.training.sources import clip_source
from hs2s_core.training.unroll import Unroll
from hs2s_core.training.validation import Validation
from hs2s_core.weights import save_weights

pytestmark = pytest.mark.usefixtures("one_thread")

Write = Callable[..., Path]


def weights(model: torch.nn.Module) -> list[torch.Tensor]:
    """All tensors of a model."""
    return list(model.state_dict().values())


def test_resume_equals_uninterrupted(write_config: Write, tmp_path: Path) -> None:
    config = read_config(write_config())
    straight = train(config, tmp_path / "a")
    train(config, tmp_path / "b", stop_after=3)
    resumed = train(config, tmp_path / "b")
    for a, b in zip(weights(straight), weights(resumed), strict=True):
        assert torch.equal(a, b)
    records = [json.loads(line) for line in (tmp_path / "b" / "log.jsonl").open()]
    assert [record["step"] for record in records] == [1, 2, 3, 4, 5, 6]


# Narrow, with the encoders of the fewest layers, for time.
SMALL = {"hs2s-lite": dataclasses.replace(PRESETS["hs2s-lite"], encoder="small", width=16)} | {
    name: dataclasses.replace(preset(f"{name}/32"), encoder="vgg16")
    for name in ("hs2s", "hs2s-deeprnn", "raft-hs2s", "bi-hs2s")
}


@pytest.mark.parametrize("name", SMALL)
def test_six_steps_equal_three_and_three(
    name: str, write_config: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit by bit, whatever the network draws, with all that a schedule changes on the way."""
    monkeypatch.setitem(RAFTHead.__init__.__kwdefaults__, "updates", 2)  # for time, too
    config = dataclasses.replace(
        read_config(write_config()),
        model=SMALL[name],
        losses=LOSS_PRESETS["lite" if name == "hs2s-lite" else "authors"],
        schedule=Schedule("cosine", sampling_start=0.2, sampling_end=0.7, freeze=0.8),
        stages=(Stage(steps=6, size=(64, 64), frames=3, clips=1, frames_from=2),),
        checkpoint_minutes=0,
    )
    (tmp_path / "b").mkdir()

    def keep(record: Record) -> None:
        if record["step"] == 4:
            shutil.copy(tmp_path / "a/last.pt", tmp_path / "b/last.pt")

    straight = train(config, tmp_path / "a", report=keep)
    steps: list[int] = []
    resumed = train(config, tmp_path / "b", report=lambda record: steps.append(record["step"]))
    assert steps == list(range(4, 7))
    for a, b in zip(weights(straight), weights(resumed), strict=True):
        assert torch.equal(a, b)
    once, twice = (torch.load(tmp_path / run / "last.pt", weights_only=True) for run in "ab")
    for key, value in once["model"].items():
        assert torch.equal(value, twice["model"][key]), key
    assert once["curriculum"] == twice["curriculum"]


def test_the_best_model_is_kept_and_returned(
    write_config: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a resumed run gets no better than before it was interrupted."""
    folder = FolderConfig(write_config().parent / "data/videos")
    config = dataclasses.replace(
        read_config(write_config()), validation=ValidationConfig((folder,), every=2)
    )
    seen = []

    def score(self: Validation, model: torch.nn.Module) -> float:
        seen.append(weights(copy.deepcopy(model)))
        return [0.3, 0.5, 0.4][len(seen) - 1]

    monkeypatch.setattr(Validation, "score", score)
    train(config, tmp_path, stop_after=4)
    returned = train(config, tmp_path)
    assert len(seen) == 3
    best = torch.load(tmp_path / "best.pt", weights_only=True)
    assert (best["step"], best["best"]) == (4, 0.5)
    for a, b, c in zip(weights(returned), best["average"].values(), seen[1], strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a, c)
    assert not returned.training
    records = [json.loads(line) for line in (tmp_path / "log.jsonl").open()]
    assert [record.get("jf") for record in records] == [None, 0.3, None, 0.5, None, 0.4]
    last = torch.load(tmp_path / "last.pt", weights_only=True)
    assert (last["step"], last["best"]) == (6, 0.5)


def test_statistics_of_norms_are_averaged() -> None:
    """What is validated and used must not have the statistics of the last clip alone."""
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4))
    average = copy.deepcopy(model)
    for level in (0.0, 0.0, 0.0, 100.0):
        model(torch.full((2, 3, 5, 5), level) + torch.rand(2, 3, 5, 5))
        update_average(average, model, 0.5)
        if level == 0:
            usual = average[1].running_mean.clone()
    moved = (average[1].running_mean - usual).abs()
    last = (model[1].running_mean - usual).abs()
    assert (moved <= 0.55 * last).all()
    assert average[1].num_batches_tracked == model[1].num_batches_tracked == 4


def test_validation_scores_labelled_videos(write_config: Write, tmp_path: Path) -> None:
    """A share of 1, the same each time, from the first frames only; the mode stays as it was."""
    config = read_config(write_config())
    folder = FolderConfig(write_config().parent / "data/videos")
    validation = Validation(ValidationConfig((folder,), every=5, frames=4), config.data)
    torch.manual_seed(0)
    model = build_model(config.model).train()
    score = validation.score(model)
    assert model.training
    assert 0 <= score <= 1
    assert validation.score(model) == score
    due = [step for step in range(1, 13) if validation.due(step, 12)]
    assert due == [5, 10, 12]
    first_only = FolderConfig(tmp_path)
    for kind, suffix in (("JPEGImages", "jpg"), ("Annotations", "png")):
        shutil.copytree(folder.path / kind, tmp_path / kind)
        for later in list((tmp_path / kind / "one").glob(f"*.{suffix}"))[1:]:
            later.unlink()
    with pytest.raises(InvalidConfig, match="of 1 validation video none can be scored"):
        Validation(ValidationConfig((first_only,), every=5), config.data)
    with pytest.raises(InvalidConfig, match="no videos to score on"):
        ValidationConfig(every=5)


def test_seeds_decide_and_workers_do_not(write_config: Write) -> None:
    def first(seed: int, workers: int) -> torch.Tensor:
        config = read_config(write_config(seed, workers))
        items = ClipItems(clip_source(config.data), config.stages, 2, config.seed)
        return next(iter(batches(items, 1, workers))).frames

    assert torch.equal(first(0, 0), first(0, 1))
    assert not torch.equal(first(0, 0), first(1, 0))


def test_starting_from_weights(write_config: Write, training_folder: Path, tmp_path: Path) -> None:
    """Fine-tuning: step 0 has the given weights; those of another model are refused."""
    config = read_config(write_config())
    torch.manual_seed(11)
    model = build_model(config.model)
    save_weights(model, tmp_path / "start.safetensors", {"name": "start"})
    started = dataclasses.replace(
        config, start=str(tmp_path / "start.safetensors"), learning_rate=1e-12, weight_decay=0.0
    )
    tuned = train(started, tmp_path / "run", stop_after=1)
    for (name, a), b in zip(model.named_parameters(), tuned.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6), name
    # How a network is used is the run's own choice.
    used = dataclasses.replace(started, model=dataclasses.replace(config.model, seen_from=0.6))
    assert train(used, tmp_path / "used", stop_after=1).config == used.model
    other = dataclasses.replace(started, model=dataclasses.replace(config.model, width=64))
    with pytest.raises(InvalidConfig, match="another model"):
        train(other, tmp_path / "other")
    # A run that goes on has no use for them.
    (tmp_path / "start.safetensors").unlink()
    train(started, tmp_path / "run", stop_after=2)
    assert len((tmp_path / "run" / "log.jsonl").read_text().splitlines()) == 2


def test_batches_follow_the_stages(write_config: Write) -> None:
    config = read_config(write_config())
    items = ClipItems(clip_source(config.data), config.stages, 2, 0)
    shapes = [tuple(batch.frames.shape) for batch in batches(items, 0, 0)]
    assert shapes == [(3, 2, 3, 64, 80)] * 3 + [(4, 1, 3, 80, 64)] * 3
    for batch in batches(items, 5, 0):
        assert batch.masks.shape[1] == len(batch.owner)
        assert batch.masks[0].flatten(1).sum(1).min() > 0
        assert set(batch.masks.unique().tolist()) <= {0.0, 1.0}


def test_a_batch_can_be_learned(write_config: Write) -> None:
    """The loss of one fixed batch falls to a fraction, fed with its own predictions."""
    torch.manual_seed(0)
    config = read_config(write_config())
    items = ClipItems(clip_source(config.data), config.stages, 2, 5)
    batch = collate([items[0], items[1]])
    model = build_model(config.model)
    unroll = Unroll(model, config.losses)
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    seen = []
    for _ in range(15):
        loss, _ = unroll(batch, 1.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.append(loss.item())
    assert seen[-1] < 0.5 * seen[0]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("warmup", "warm_up", "warm_up"),
        ('preset = "hs2s-lite"', 'preset = "tiny"', "no preset 'tiny'"),
        ("seed = 0", 'seed = 0\nlosses = "other"', "no losses 'other'"),
        ("[data]", "[date]", "no section 'data'"),
        ('stills = ["stills"]', 'stills = ["none"]', "no stills in"),
    ],
)
def test_bad_configs_say_what_is_wrong(
    write_config: Write, training_folder: Path, old: str, new: str, message: str
) -> None:
    text = write_config().read_text()
    assert old in text
    path = training_folder / "bad.toml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ValueError, match=message) as caught:
        clip_source(read_config(path).data)
    if "stills" not in old:
        assert isinstance(caught.value, InvalidConfig)


def test_flow_terms_are_optional(write_config: Write) -> None:
    """RAFT-HS2S: the photometric loss by itself, and with smoothness beside it."""
    config = read_config(write_config())
    model = build_model(dataclasses.replace(PRESETS["raft-hs2s"].scaled(16), init="fan_in"))
    items = ClipItems(clip_source(config.data), config.stages, 1, 0)
    batch = collate([items[0]])
    losses = LOSS_PRESETS["authors"]
    plain, terms = Unroll(model, losses)(batch, 0.0)
    assert "flow" in terms
    assert "flow_smooth" not in terms
    smooth = dataclasses.replace(losses, flow_smooth=2.0)
    loss, terms = Unroll(model, smooth)(batch, 0.0)
    assert loss.item() == pytest.approx(plain.item() + 2 * terms["flow_smooth"].item(), rel=1e-4)
    _, without = Unroll(model, dataclasses.replace(losses, flow=0.0))(batch, 0.0)
    assert "flow" not in without
