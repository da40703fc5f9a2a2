"""``hs2s demo``, end to end: MongoDB, FiftyOne, the plugin, the operator, labels, scores, files."""

from __future__ import annotations

import csv
from pathlib import Path

import fiftyone as fo
import fiftyone.operators as foo
import numpy as np
import pytest
from PIL import Image

from hs2s_core.doctor import Check
from hs2s_core.media.frames import open_frames
from hs2s_core.media.masks import read_id_map
from hs2s_core.resources import asset

from .conftest import Run

FRAMES, OBJECTS = 26, 3
NAME = "demo-test"


class FakeSession:
    """An App whose user presses Ctrl+C."""

    closed = False

    def wait(self, seconds: float) -> None:
        raise KeyboardInterrupt

    def close(self) -> None:
        self.closed = True


def test_demo(run: Run, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("demo", "--out", tmp_path / "out", "--weights", weights, "--dataset", NAME)
    status, said, _ = run(*words)
    assert status == 0
    assert "Protocol davis2017" in said
    assert "overall" in said
    assert "1 = line judge" in said

    # The plugin was not there before; now any script can use it.
    assert foo.operator_exists("@hs2s/vos/propagate_masks")
    dataset = fo.load_dataset(NAME)
    assert dataset.list_evaluations() == ["eval_hs2s"]
    scheme = dataset.app_config.color_scheme
    assert scheme.color_by == "field"
    assert len({entry["fieldColor"] for entry in scheme.fields}) == 2
    assert dataset.app_config.active_fields.paths == ["frames.hs2s"]
    assert dataset.persistent
    assert dataset.values("hs2s_status") == ["done"]
    given = dataset.first().frames[1]
    shown = {entry.index: entry.label for entry in given.hs2s.detections}
    assert shown == {entry.index: entry.label for entry in given.ground_truth.detections}

    check_files(tmp_path / "out")
    # The demo can be repeated, and replaces what it left. The App shows the new dataset.
    opened: list[tuple[str, int]] = []
    session = FakeSession()

    def launch_app(dataset: fo.Dataset, port: int) -> FakeSession:
        opened.append((dataset.name, port))
        return session

    monkeypatch.setattr(fo, "launch_app", launch_app)
    assert run(*words, "--app", "--port", 5199)[0] == 0
    assert opened == [(NAME, 5199)]
    assert session.closed
    assert len(fo.load_dataset(NAME)) == 1
    fo.delete_dataset(NAME)


def check_files(out: Path) -> None:
    masks = sorted((out / "masks" / "stefan_001").iterdir())
    assert len(masks) == FRAMES
    truth = asset("demo") / "Annotations" / "stefan_001" / "00000.png"
    assert np.array_equal(read_id_map(masks[0]), read_id_map(truth))
    with (out / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == FRAMES * OBJECTS
    overlay = open_frames(out / "overlay.mp4")
    assert len(overlay) == FRAMES
    assert overlay.size == (320, 480)
    assert Image.open(out / "contact-sheet.png").width > 1000


def test_a_dataset_of_the_users_own_is_left_alone(run: Run, weights: Path, tmp_path: Path) -> None:
    fo.Dataset(NAME)
    status, _, err = run("demo", "--out", tmp_path, "--weights", weights, "--dataset", NAME)
    assert status == 2
    assert "is not the demo's" in err
    assert fo.dataset_exists(NAME)
    fo.delete_dataset(NAME)


def test_without_mongodb(
    run: Run, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = Check("MongoDB", False, "no mongod", "install it")
    monkeypatch.setattr("hs2s_fiftyone.doctor.check_mongodb", lambda: missing)
    status, _, err = run("demo", "--out", tmp_path, "--weights", weights)
    assert status == 2
    assert "no mongod. What to do: install it" in err


def test_without_weights(run: Run, tmp_path: Path) -> None:
    status, _, err = run("demo", "--out", tmp_path, "--weights", tmp_path / "no.safetensors")
    assert status == 2
    assert "no weights file" in err
