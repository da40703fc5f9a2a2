"""Two processes at half the batch reach what one process reaches at the full batch."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from hs2s_core.models import build_model
from hs2s_core.models.paper.flow import RAFTHead
from hs2s_core.training.loop import train
from hs2s_core.training.run_file import read_config

from ..threads import threads

COMMON = """
seed = 3
learning_rate = 1e-3
data = { root = "data", stills = ["stills"], workers = 0 }
schedule = { freeze = 0.0, sampling_start = 0.0, sampling_end = 0.5 }
stages = [{ steps = 3, size = [64, 64], frames = 3, frames_from = 2, clips = 4 }]
"""
RUNS = {
    "lite": """
losses = "lite"

[model]
preset = "hs2s-lite"
encoder = "small"
""",
    # All of the authors' terms and both of flow; a memory that draws; recomputed steps.
    # VGG-16 has no batch norms, which frozen at their start would let activations grow.
    "authors": """
checkpointing = true

[losses]
balanced_bce = 0.6
log_iou = 0.2
border = 0.2
flow = 0.1
flow_smooth = 0.1

[model]
preset = "raft-hs2s/32"
encoder = "vgg16"
memory = "deeprnn"
init = "fan_in"
""",
}
SCRIPT = """
import json, os, sys, torch, torch._dynamo
from pathlib import Path
from hs2s_core import cli
from hs2s_core.models.paper.flow import RAFTHead
from hs2s_core.training import loop
from hs2s_core.training.run_file import read_config
from hs2s_core.training.curriculum import Curriculum
from hs2s_core.training.processes import process_group, rank

ranks, other = os.environ["RANK"].split(), 0
if len(ranks) == 2:  # for time: to import all of this takes longer than the runs
    other = os.fork()
    os.environ["RANK"] = os.environ["LOCAL_RANK"] = ranks[other == 0]

RAFTHead.__init__.__kwdefaults__["updates"] = 2  # for time, too
seen = []
class Observed(Curriculum):
    def observe(self, step, loss):
        seen.append(loss)
        super().observe(step, loss)

loop.Curriculum = Observed
torch.set_num_threads(1)
runs, tables = json.loads(sys.argv[1])
with process_group(torch.device("cpu")) as device:
    for config, out in runs:
        loop.train(read_config(Path(config)), Path(out), device=device)
        Path(out, f"observed-{rank()}.json").write_text(json.dumps(seen))
        seen.clear()
loop.Curriculum = Curriculum
os.environ["MASTER_PORT"] = sys.argv[2]  # the first's may still be taken
ended = cli.main(tables)
if other:
    ended = ended or os.waitstatus_to_exitcode(os.waitpid(other, 0)[1])
sys.exit(ended)
"""
VALIDATION = """
[validation]
folders = [{ path = "videos" }]
frames = 3
"""


class Outcome(NamedTuple):
    """What a run leaves."""

    state: dict[str, Any]
    records: list[dict[str, float]]
    folder: Path


def outcome(out: Path) -> Outcome:
    """Read a run's folder."""
    state = torch.load(out / "last.pt", weights_only=True)
    return Outcome(state, [json.loads(line) for line in (out / "log.jsonl").open()], out)


@pytest.fixture(scope="module")
def configs(training_folder: Path) -> dict[str, Path]:
    """Each run as a file."""
    paths = {name: training_folder / f"processes-{name}.toml" for name in RUNS}
    for name, path in paths.items():
        # TOML's top-level keys come before its tables.
        keys, tables = RUNS[name].split("\n[", 1)
        path.write_text(keys + COMMON + "\n[" + tables)
    return paths


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def in_two_processes(*words: str) -> None:
    """Run ``SCRIPT`` as torchrun would, with two processes over gloo."""
    workers, port = [], free_port()
    for ranks in ("0 1",) if sys.platform == "linux" else ("0", "1"):
        environment = dict(
            os.environ,
            OMP_NUM_THREADS="1",
            RANK=ranks,
            LOCAL_RANK=ranks,
            WORLD_SIZE="2",
            MASTER_ADDR="127.0.0.1",
            MASTER_PORT=str(port),
        )
        command = [sys.executable, "-c", SCRIPT, *words]
        workers.append(subprocess.Popen(command, env=environment, start_new_session=True))
    try:
        assert [worker.wait(900) for worker in workers] == [0] * len(workers)
    finally:
        for worker in workers:
            end(worker)


def end(worker: subprocess.Popen[bytes]) -> None:
    """End a process and its fork: one that waits for the other's sums would wait on."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
    else:
        worker.kill()


@pytest.fixture(scope="module")
def two_processes(configs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all runs, and of a table, by the same two processes one after the other."""
    folder = tmp_path_factory.mktemp("two")
    table = configs["lite"].with_name("processes-table.toml")
    shorter = configs["lite"].read_text().replace("steps = 3", "steps = 2")
    table.write_text(shorter.replace("clips = 4", "clips = 2") + VALIDATION)
    words = ("ablate", "--tables", "2a", "--config", table, "--out", folder / "tables")
    options = (*map(str, words), "--divisor", "32", "--device", "cpu")
    runs = [(str(path), str(folder / name)) for name, path in configs.items()]
    in_two_processes(json.dumps([runs, options]), str(free_port()))
    return folder


@pytest.fixture(scope="module")
def two(two_processes: Path) -> dict[str, Outcome]:
    """What the two processes left of each run."""
    return {name: outcome(two_processes / name) for name in RUNS}


@pytest.fixture(scope="module")
def one(configs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """All runs by this process alone."""
    folder = tmp_path_factory.mktemp("one")
    with threads(1), pytest.MonkeyPatch.context() as patch:
        patch.setitem(RAFTHead.__init__.__kwdefaults__, "updates", 2)  # as SCRIPT does
        for name, path in configs.items():
            train(read_config(path), folder / name)
    return {name: outcome(folder / name) for name in RUNS}


@pytest.mark.parametrize("name", RUNS)
def test_two_processes_equal_one(
    name: str, configs: dict[str, Path], one: dict[str, Outcome], two: dict[str, Outcome]
) -> None:
    """Adam turns rounding in gradients near zero into steps, hence the tolerance."""
    settings = read_config(configs[name])
    torch.manual_seed(settings.seed)
    fresh = build_model(settings.model).state_dict()
    moved, apart, count = 0.0, 0.0, 0
    for key, value in one[name].state["model"].items():
        if value.is_floating_point():
            moved += (value - fresh[key]).abs().sum().item()
            apart += (value - two[name].state["model"][key]).abs().sum().item()
            count += value.numel()
    print(f"{name}: weights moved by {moved / count:.3g}; two end {apart / count:.3g} from one")
    assert moved / count > 1e-4
    assert apart < 0.01 * moved


@pytest.mark.parametrize("name", RUNS)
def test_two_processes_log_what_one_logs(
    name: str, one: dict[str, Outcome], two: dict[str, Outcome]
) -> None:
    """The loss and each of its terms are those of the whole batch, and steps are as long."""
    assert len(one[name].records) == 3
    for alone, shared in zip(one[name].records, two[name].records, strict=True):
        assert alone.keys() == shared.keys()
        for key in alone.keys() - {"seconds", "waited"}:
            assert alone[key] == pytest.approx(shared[key], rel=2e-3), key
    assert (name == "authors") == ("flow" in one[name].records[0])


@pytest.mark.parametrize("name", RUNS)
def test_every_process_observes_the_same_loss(name: str, two: dict[str, Outcome]) -> None:
    """To the bit: what the curriculum decides by it, all must do in the same step."""
    first, second = (
        json.loads((two[name].folder / f"observed-{rank}.json").read_text()) for rank in range(2)
    )
    assert len(first) == 3
    assert first == second


def test_tables_are_trained_by_two_processes(two_processes: Path) -> None:
    """Each step is logged once: two that knew nothing of each other would each log their own."""
    folder = two_processes / "tables"
    for name in ("s2s-star", "hs2s"):
        log = (folder / name / "log.jsonl").read_text().splitlines()
        assert [json.loads(line)["step"] for line in log] == [1, 2]
        assert 0 <= json.loads((folder / name / "scores.json").read_text())["J"] <= 1
    assert "| HS2S | 76.3 | 77.1 | 64.2 | 65.5 |" in (folder / "tables.md").read_text()
