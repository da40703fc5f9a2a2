"""``hs2s check`` and ``hs2s curve``: findings as lines, a picture from a log."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hs2s_core.cli import main
from tests.data.builders import davis, plain, youtube_vos

from .conftest import Run


def test_healthy_folders(run: Run, tmp_path: Path) -> None:
    for make, words in (
        (
            youtube_vos,
            "youtube-vos, 3 videos (train, valid); 11 frames, 7 annotated; 4 objects listed; "
            "64x48 (3)",
        ),
        (
            davis,
            "davis, 2 videos (2016/val, 2017/train, 2017/val, 480p/val); 8 frames, 8 annotated; "
            "4 objects in first annotated frames; 64x48 (2)",
        ),
        (
            plain,
            "plain, 1 video; 4 frames, 4 annotated; 2 objects in first annotated frames; 64x48 (1)",
        ),
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
    status, out, err = run("check", tmp_path / "none")
    assert (status, out) == (2, "")
    assert "no such folder" in err


def test_folders_of_network_storage_are_no_videos(run: Run, tmp_path: Path) -> None:
    for kind in ("JPEGImages", "Annotations"):
        (plain(tmp_path) / kind / "@eaDir").mkdir()
    status, out, _ = run("check", tmp_path)
    assert status == 0
    assert "1 video;" in out


@pytest.mark.parametrize("command", ["check", "evaluate"])
def test_help_has_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert f"examples:\n  hs2s {command} " in capsys.readouterr().out


def test_curve(run: Run, tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"step": 1, "loss": 1.0}\n{"step": 2, "loss": 0.5}\n')
    for source, more in ((tmp_path, ()), (tmp_path / "log.jsonl", ("--overwrite",))):
        status, out, _ = run("curve", source, tmp_path / "curve.png", *more)
        assert (status, out) == (0, f"2 steps -> {tmp_path / 'curve.png'}\n")
    status, _, err = run("curve", tmp_path / "nothing", tmp_path / "curve.png")
    assert status == 2
    assert "log.jsonl of a training run" in err
    status, _, err = run("curve", tmp_path, tmp_path / "curve.xyz")
    assert status == 2
    assert "curve.xyz: no kind of picture; expected one of " in err
    assert not (tmp_path / "curve.xyz").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("curve", "RUN", "FILE.png"),
        ("evaluate", "masks", "truth", "--out", "FILE.csv"),
        ("weights", "export", "run", "FILE.safetensors"),
        ("weights", "convert", "net.pth", "FILE.safetensors"),
        ("weights", "onnx", "hs2s-lite", "RUN", "--frame", "96x64"),
    ],
)
def test_nothing_that_exists_is_replaced_unasked(
    run: Run, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """One rule for all commands."""
    named = [
        word.replace("FILE", f"{tmp_path}/file").replace("RUN", str(tmp_path)) for word in words
    ]
    kept = next((Path(word) for word in named if "/file" in word), tmp_path / "begin.onnx")
    kept.write_text("kept")
    (tmp_path / "log.jsonl").write_text('{"step": 1, "loss": 1.0}\n')
    status, _, err = run(*named)
    assert (status, f"{kept}: exists already; give another name, or --overwrite" in err) == (
        2,
        True,
    )
    assert kept.read_text() == "kept"
