"""``hs2s check`` and ``hs2s curve``: findings as lines, a picture from a log."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.data_readers.builders import davis, plain, youtube_vos

from .conftest import Run


def test_healthy_folders(run: Run, tmp_path: Path) -> None:
    for make, words in (
        (youtube_vos, "youtube-vos, 3 videos (train, valid)"),
        (davis, "davis, 2 videos"),
        (plain, "plain, 1 video"),
    ):
        root = make(tmp_path / make.__name__)
        status, out, _ = run("check", root)
        assert (status, out) == (0, f"{root}: {words}; nothing wrong found\n")


def test_everything_is_said_at_once(run: Run, tmp_path: Path) -> None:
    root = youtube_vos(tmp_path)
    shutil.rmtree(root / "valid/JPEGImages/bbb")
    shutil.rmtree(root / "train/Annotations/ttt")
    status, out, _ = run("check", root)
    assert status == 1
    assert "train/ttt: no annotations in" in out
    assert "valid/bbb: listed in meta.json, but has no frames folder" in out
    assert out.endswith("\n3 findings in 2 videos.\n")
    status, out, _ = run("check", root, "--split", "train")
    assert status == 1
    assert "valid" not in out


def test_deep(run: Run, tmp_path: Path) -> None:
    root = plain(tmp_path)
    frame = sorted((root / "JPEGImages").glob("*/*.jpg"))[-1]
    frame.write_bytes(frame.read_bytes()[:20])
    assert run("check", root)[0] == 0
    status, out, _ = run("check", root, "--deep")
    assert status == 1
    assert frame.name in out


def test_no_such_folder(run: Run, tmp_path: Path) -> None:
    status, out, _ = run("check", tmp_path / "none")
    assert status == 1
    assert "no such folder" in out
    assert out.endswith("1 finding in the folder itself.\n")


def test_curve(run: Run, tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"step": 1, "loss": 1.0}\n{"step": 2, "loss": 0.5}\n')
    for source in (tmp_path, tmp_path / "log.jsonl"):
        status, out, _ = run("curve", source, tmp_path / "curve.png")
        assert (status, out) == (0, f"2 steps -> {tmp_path / 'curve.png'}\n")
    status, _, err = run("curve", tmp_path / "nothing", tmp_path / "curve.png")
    assert status == 2
    assert "log.jsonl of a training run" in err
