"""Runs that end early: by a signal, by a loss that is no number, between two checkpoints."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from hs2s_core.errors import HS2SError, InvalidWeights
from hs2s_core.files import alone
from hs2s_core.jobs.stopping import SIGNALS, Stopped
from hs2s_core.models import build_model
from hs2s_core.models.presets import preset
from hs2s_core.training.config import FolderConfig, TrainingConfig, ValidationConfig
from hs2s_core.training.loop import train
from hs2s_core.training.run_file import read_config
from hs2s_core.training.run_folder import check_run, claim, export_run
from hs2s_core.training.unroll import Unroll
from hs2s_core.training.validation import Validation
from hs2s_core.weights import fill_model, load_model, read_header, save_weights

Write = Callable[..., Path]


def steps_of(out: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (out / "log.jsonl").open()]


def validated(path: Path) -> TrainingConfig:
    """The run of a file, validated after every other step."""
    folders = (FolderConfig(path.parent / "data/videos"),)
    return dataclasses.replace(read_config(path), validation=ValidationConfig(folders, every=2))


@pytest.mark.usefixtures("own_signals")
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_saves_the_step_in_hand(
    write_config: Write, tmp_path: Path, number: signal.Signals
) -> None:
    config = read_config(write_config())

    def stop(record: dict[str, float]) -> None:
        if record["step"] == 1:
            os.kill(os.getpid(), number)

    with pytest.raises(Stopped, match="stopped after step 2 of 6, which is saved") as stopped:
        train(config, tmp_path, report=stop)
    assert stopped.value.status == 128 + number
    assert torch.load(tmp_path / "last.pt", weights_only=True)["step"] == 2
    train(config, tmp_path)
    assert steps_of(tmp_path) == [1, 2, 3, 4, 5, 6]


@pytest.mark.usefixtures("own_signals")
def test_a_signal_while_validating_costs_no_further_step(
    write_config: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def score(*_: object) -> float:
        os.kill(os.getpid(), signal.SIGINT)
        return 0.5

    monkeypatch.setattr(Validation, "score", score)
    with pytest.raises(Stopped, match="stopped after step 2 of 6, which is saved"):
        train(validated(write_config()), tmp_path)
    assert (tmp_path / "best.pt").exists()


@pytest.mark.usefixtures("own_signals")
def test_a_second_signal_ends_the_validation_and_costs_no_step(
    write_config: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def score(*_: object) -> float:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("it went on")

    config = validated(write_config())
    with monkeypatch.context() as patch:
        patch.setattr(Validation, "score", score)
        with pytest.raises(Stopped, match="stopped after step 2 of 6, which is saved"):
            train(config, tmp_path)
    assert not (tmp_path / "best.pt").exists()
    monkeypatch.setattr(Validation, "score", lambda *_: 0.5)
    train(config, tmp_path)
    records = [json.loads(line) for line in (tmp_path / "log.jsonl").open()]
    assert [record.get("jf") for record in records] == [None, None, None, 0.5, None, 0.5]


def test_the_command_says_what_it_saved(write_config: Write, tmp_path: Path) -> None:
    """SIGTERM, as a batch system sends it, to ``hs2s train`` and its worker alike."""
    path = write_config(2, 1)
    path.write_text(path.read_text().replace("steps = 3", "steps = 5000"))
    words = ["train", "--config", str(path), "--out", str(tmp_path / "run"), "--device", "cpu"]
    command = [sys.executable, "-m", "hs2s_core.cli", *words]
    run = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    log = tmp_path / "run" / "log.jsonl"
    while run.poll() is None and not (log.exists() and log.read_text()):
        time.sleep(0.1)
    os.killpg(run.pid, signal.SIGTERM)
    _, said = run.communicate()
    assert run.returncode == 128 + signal.SIGTERM
    assert "stopped after step" in said
    assert "of 10000, which is saved in" in said
    assert "Traceback" not in said
    state = torch.load(tmp_path / "run" / "last.pt", weights_only=True)
    assert state["step"] == steps_of(tmp_path / "run")[-1]


def test_the_log_is_cut_to_the_checkpoint(write_config: Write, tmp_path: Path) -> None:
    """A run killed between two checkpoints does its last steps again, and logs them once."""
    config = read_config(write_config())
    train(config, tmp_path, stop_after=3)
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write(json.dumps({"step": 4, "loss": 9.0}) + "\n" + '{"st\n[]\n{"step": 5, "lo')
    train(config, tmp_path)
    assert steps_of(tmp_path) == [1, 2, 3, 4, 5, 6]
    assert "9.0" not in (tmp_path / "log.jsonl").read_text().splitlines()[3]


@pytest.fixture(scope="module")
def one_step(write_config: Write, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was stopped after one step."""
    out = tmp_path_factory.mktemp("one-step")
    config = read_config(write_config())
    claim(out, config)
    train(config, out, stop_after=1)
    return out


@pytest.fixture
def stopped(one_step: Path, tmp_path: Path) -> Path:
    """That run, to do harm to."""
    return Path(shutil.copytree(one_step, tmp_path / "run"))


DAMAGED = (
    ("last.pt", "PK", "last.pt is no checkpoint of a training run, or damaged"),
    ("run.json", "[1]", "holds a run, but not what it was"),
)


@pytest.mark.parametrize(("file", "written", "words"), DAMAGED)
def test_a_damaged_run_is_named(
    write_config: Write, stopped: Path, file: str, written: str, words: str
) -> None:
    config = read_config(write_config())
    (stopped / file).write_text(written)
    given = (config, stopped) if file == "last.pt" else (stopped, config)
    with pytest.raises(HS2SError, match=words):
        (train if file == "last.pt" else check_run)(*given)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: state.pop("config"), "is no checkpoint of a training run.*KeyError"),
        (lambda state: state["config"].update(newer=1), "of another version.*'newer'"),
        (lambda state: state.pop("step"), "lacks a part of the run.*step"),
        (lambda state: state["average"].popitem(), "lacks a part of the run"),
    ],
)
def test_a_checkpoint_that_lacks_something_is_named(
    write_config: Write, stopped: Path, change: Callable[[Any], Any], words: str
) -> None:
    config = read_config(write_config())
    state = torch.load(stopped / "last.pt", weights_only=True)
    change(state)
    torch.save(state, stopped / "last.pt")
    for use in (
        lambda: train(config, stopped),
        lambda: export_run(stopped, stopped / "out.safetensors"),
    ):
        with pytest.raises(InvalidWeights, match=words):
            use()
    assert not (stopped / "out.safetensors").exists()


def test_settings_that_cannot_be_read_are_not_left_out(stopped: Path) -> None:
    (stopped / "run.json").write_text('{"se')
    with pytest.raises(InvalidWeights, match=r"run.json: cannot be read.*move it away"):
        export_run(stopped, stopped / "out.safetensors")


def test_one_run_at_a_time_trains_in_a_folder(write_config: Write, tmp_path: Path) -> None:
    config = read_config(write_config())
    with alone(tmp_path / "run", "another run is training there"):
        for use in (train, lambda config, out: claim(out, config)):
            with pytest.raises(HS2SError, match="another run is training there; wait"):
                use(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_full_disk_ends_a_run_in_words(
    write_config: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 8 vs 0")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(HS2SError, match=r"last.pt: cannot be written; is the disk full\?"):
        train(read_config(write_config()), tmp_path, stop_after=1)


def test_checkpoints_come_by_the_clock(
    write_config: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step takes a minute here, and two minutes lie between checkpoints."""
    now = [0.0]

    def forward(self: Unroll, *inputs: object) -> object:
        now[0] += 60.0
        return unchanged(self, *inputs)  # type: ignore[arg-type]

    unchanged = Unroll.forward
    monkeypatch.setattr(Unroll, "forward", forward)
    monkeypatch.setattr("hs2s_core.training.loop.time.monotonic", lambda: now[0])
    config = dataclasses.replace(read_config(write_config()), checkpoint_minutes=2.0)
    seen = []

    def look(record: dict[str, float]) -> None:
        last = tmp_path / "last.pt"
        seen.append(torch.load(last, weights_only=True)["step"] if last.exists() else 0)

    train(config, tmp_path, report=look)
    assert seen == [0, 0, 2, 2, 4, 4]  # as a step is reported before it is saved


@pytest.mark.parametrize("at", [1, 3])
def test_a_run_without_a_finite_loss_ends(
    write_config: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """At step ``at``; the state before it is kept, which is what it began with at the first."""
    config = read_config(write_config())
    unchanged, calls = Unroll.forward, []

    def forward(self: Unroll, *inputs: object) -> object:
        calls.append(1)
        loss, terms = unchanged(self, *inputs)  # type: ignore[arg-type]
        return loss * float("nan" if len(calls) == at else 1), terms

    monkeypatch.setattr(Unroll, "forward", forward)
    with pytest.raises(HS2SError, match=f"after step {at - 1} the loss is nan"):
        train(config, tmp_path)
    state = torch.load(tmp_path / "last.pt", weights_only=True)
    assert state["step"] == at - 1
    assert all(value.isfinite().all() for value in state["model"].values())


def test_a_step_that_does_not_fit_into_memory_ends_a_run(
    write_config: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At step 3; the two before it are kept."""
    config = read_config(write_config())
    unchanged, calls = Unroll.forward, []

    def forward(self: Unroll, *inputs: object) -> object:
        calls.append(1)
        if len(calls) == 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return unchanged(self, *inputs)  # type: ignore[arg-type]

    monkeypatch.setattr(Unroll, "forward", forward)
    with pytest.raises(HS2SError, match=r"step 3 needs more memory than cpu has: .* Lower clips"):
        train(config, tmp_path)
    assert torch.load(tmp_path / "last.pt", weights_only=True)["step"] == 2
    monkeypatch.undo()
    train(config, tmp_path)
    assert steps_of(tmp_path) == [1, 2, 3, 4, 5, 6]


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    model = build_model("s2s-lite")
    save_weights(model, tmp_path / "good.safetensors", {})
    tensors = dict(model.state_dict())
    name = next(iter(tensors))
    tensors[name].view(-1)[0] = float("inf")
    with pytest.raises(InvalidWeights, match=rf"1 of \d+ tensors .* not finite[^$]*{name}"):
        fill_model(preset("s2s-lite"), tensors)
    with pytest.raises(InvalidWeights, match="not finite"):
        save_weights(model, tmp_path / "bad.safetensors", {})
    assert not (tmp_path / "bad.safetensors").exists()


def test_checkpoints_are_exported(write_config: Write, tmp_path: Path) -> None:
    """What a run returns at that step; a file that is none is refused, with what is expected."""
    trained = train(read_config(write_config()), tmp_path / "run", stop_after=2)
    with pytest.raises(InvalidWeights, match="hs2s weights export"):
        load_model(tmp_path / "run" / "last.pt")
    for source in ("run", "run/last.pt"):
        export_run(tmp_path / source, tmp_path / "out.safetensors")
        exported = load_model(tmp_path / "out.safetensors", device="cpu").state_dict()
        for key, value in trained.state_dict().items():
            assert torch.equal(value, exported[key])
        assert read_header(tmp_path / "out.safetensors").card["step"] == 2
    (tmp_path / "other.pt").write_bytes(b"no checkpoint")
    torch.save({"model": {}}, tmp_path / "strange.pt")
    for name in ("other.pt", "strange.pt", "missing.pt", "."):
        with pytest.raises(InvalidWeights, match="no checkpoint of a training run"):
            export_run(tmp_path / name, tmp_path / "bad.safetensors")
