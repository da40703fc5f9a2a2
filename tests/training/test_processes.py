"""Two processes at half the batch reach the weights of one process at the full batch."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import torch

CONFIG = """
seed = 3
learning_rate = 1e-3
losses = "{losses}"
checkpoint_every = 3

[model]
preset = "hs2s-lite"

[data]
root = "data"
stills = ["stills"]
workers = 0

[schedule]
freeze = 0.0

[[stages]]
steps = 3
size = [64, 80]
frames = 3
clips = 4
"""
SCRIPT = """
import sys, torch
from pathlib import Path
from hs2s_core.training.config import read_config
from hs2s_core.training.loop import train
from hs2s_core.training.processes import process_group
torch.set_num_threads(1)
with process_group(torch.device("cpu")) as device:
    train(read_config(Path(sys.argv[1])), Path(sys.argv[2]), device=device)
"""


def run(config: Path, out: Path, processes: int) -> dict[str, torch.Tensor]:
    """Train in that many processes; the weights of the last checkpoint."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    workers = []
    for rank in range(processes):
        environment = dict(os.environ, OMP_NUM_THREADS="1")
        if processes > 1:
            environment |= {
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "WORLD_SIZE": str(processes),
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
            }
        command = [sys.executable, "-c", SCRIPT, str(config), str(out)]
        workers.append(subprocess.Popen(command, env=environment))
    assert [worker.wait(240) for worker in workers] == [0] * processes
    state = torch.load(out / "last.pt", weights_only=True)
    assert state["step"] == 3
    return state["model"]  # type: ignore[no-any-return]


def test_two_processes_equal_one(training_folder: Path, tmp_path: Path) -> None:
    """Adam turns tiny differences of near-zero gradients into steps, hence the tolerance."""
    config = training_folder / "processes.toml"
    config.write_text(CONFIG.format(losses="lite"))
    one = run(config, tmp_path / "one", 1)
    two = run(config, tmp_path / "two", 2)
    moved, apart = 0.0, 0.0
    fresh = run_start(config)
    for name, value in one.items():
        if value.is_floating_point():
            moved = max(moved, (value - fresh[name]).abs().max().item())
            apart = max(apart, (value - two[name]).abs().max().item())
    print(f"weights moved by up to {moved:.3g}; two processes end {apart:.3g} from one")
    assert moved > 1e-3
    assert apart < 0.02 * moved


def run_start(config: Path) -> dict[str, torch.Tensor]:
    """Weights at step 0 of the run."""
    from hs2s_core.models import build_model
    from hs2s_core.training.config import read_config

    settings = read_config(config)
    torch.manual_seed(settings.seed)
    return build_model(settings.model).state_dict()
