"""benchmarks/gpu_train.sh: data packed, a run brought back in pieces and gone on with."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from hs2s_core.data.folders import open_folder
from hs2s_core.training.run_file import read_config
from tests.scripts import load_script

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def pack(config: Path, root: Path, out: Path, limit: str) -> None:
    words = ["pack_data.py", config, "--root", root, "--out", out, "--limit", limit]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", list(map(str, words)))
        load_script(BENCHMARKS / "pack_data.py").main()


@pytest.mark.skipif(os.name == "nt", reason="a shell script")
def test_a_run_goes_there_and_back(
    training_folder: Path, write_config: Callable[..., Path], tmp_path: Path
) -> None:
    config, packed, kept = write_config(3), tmp_path / "packed", tmp_path / "kept"
    config.write_text(config.read_text().replace("steps = 3", "steps = 1"))
    pack(config, training_folder / "data", packed, "1")
    video = open_folder(packed / "videos", None).video("one")
    assert len(video.frames) == 6
    assert not list(packed.rglob("*.jpg"))

    run = ["bash", BENCHMARKS / "gpu_train.sh", config, packed, kept, "600"]
    environment = os.environ | {"PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
    for _ in range(2):  # the second finds all done in what the first brought back
        ended = subprocess.run(
            list(map(str, run)), env=environment, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr
        assert "all steps are done" in ended.stdout
        assert list(kept.glob("*.safetensors"))
        whole = tmp_path / "run.tar.gz"
        whole.write_bytes(b"".join(p.read_bytes() for p in sorted(kept.glob("run.tar.gz.*"))))
        with tarfile.open(whole) as archive:
            log = archive.extractfile("run/log.jsonl")
            assert log is not None
            steps = sum(stage.steps for stage in read_config(config).stages)
            assert len([line for line in log if b'"loss"' in line]) == steps


def test_what_stays_too_large_is_refused(
    training_folder: Path,
    write_config: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as stopped:
        pack(write_config(), training_folder / "data", tmp_path / "packed", "0.001")
    assert stopped.value.code == 2
    assert "name fewer sets" in capsys.readouterr().err
    assert not (tmp_path / "packed").exists()
