"""A database that goes away in the middle of a run: one clear error, not one for every video."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from ...conftest import _start_server

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = """
import os, signal, sys
import fiftyone as fo
from hs2s_core.errors import HS2SError
from hs2s_fiftyone.propagation import propagate
from tests.plugin.helpers import CopyNetwork, detection, square, video_sample

server, *videos = sys.argv[1:]
dataset = fo.Dataset()
for path in videos:
    labels = fo.Detections(detections=[detection(square(8, 8), index=1)])
    dataset.add_sample(video_sample(path, {1: labels}))
told = []

def watch(step):
    told.append(step.label)
    if "1/2 a.mp4: frame 1 " in step.label:
        os.kill(int(server), signal.SIGKILL)

try:
    propagate(dataset, "truth", "found", model=CopyNetwork(), progress=watch)
except HS2SError as error:
    print(f"{type(error).__name__}: {error}")
print(told[-1])
sys.stdout.flush()
os._exit(0)  # what FiftyOne does at the end would wait for its database
"""


def test_a_run_ends_at_once_when_the_database_is_gone(
    make_video: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "database").mkdir()
    server, uri = _start_server(tmp_path / "database")
    # The driver looks for a lost server as long as it is told to.
    environment = {**os.environ, "FIFTYONE_DATABASE_URI": f"{uri}/?serverSelectionTimeoutMS=300"}
    videos = [make_video("a.mp4"), make_video("b.mp4")]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(server.pid), *videos],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    server.wait()
    assert done.returncode == 0, done.stderr
    *_, said, last = done.stdout.splitlines()
    assert said.startswith("RunEnded: the database does not answer any more"), done.stdout
    assert "nothing was written of 'a.mp4'" in said
    assert last.startswith("1/2 a.mp4"), "the second video was not begun"
