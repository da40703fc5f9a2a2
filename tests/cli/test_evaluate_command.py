"""``hs2s evaluate`` prints the protocol with its numbers and fails loudly."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from hs2s_core.cli import build_parser
from hs2s_core.commands import evaluate
from hs2s_core.errors import HS2SError
from hs2s_core.evaluation import PROTOCOLS

CASES = Path(__file__).parents[1] / "data" / "jf"


def run(*arguments: object) -> int:
    words = ["evaluate", *map(str, arguments)]
    return evaluate.run(build_parser(words).parse_args(words))


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Predictions and truth of the two smallest parity cases."""
    for kind in ("predictions", "truth"):
        for video in ("m07_late_top_ghost", "m08_late_low"):
            shutil.copytree(CASES / kind / video, tmp_path / kind / video)
    return tmp_path / "predictions", tmp_path / "truth"


def test_prints_protocol_scores_and_time(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "rows.csv"
    assert run(*folders, "--workers", 1, "--out", out) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"Protocol {PROTOCOLS['davis2017'].description}.")
    assert "m08_late_low" in text
    # The mean of the stored per-object numbers: 0.811503, 0.668783, 0.913100.
    assert "79.78" in text
    assert "t < 10: J&F" in text
    assert "predicted though absent" in text
    assert "144 rows written to" in text
    with out.open(newline="") as file:
        assert sum(1 for _ in csv.DictReader(file)) == 144


def test_objects_and_flags(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "rows.json"
    arguments = ("--protocol", "youtube_vos", "--prompt-frame", "--no-last-frame", "--objects")
    assert run(*folders, *arguments, "--workers", 2, "--out", out) == 0
    text = capsys.readouterr().out
    assert "Protocol youtube_vos+prompt_frame-last_frame: " in text
    assert "m07_late_top_ghost/3" in text
    assert "seen and unseen categories are not known" in text
    assert json.loads(out.read_text())["protocol"]["last_frame"] is False


def test_flags_that_change_nothing_keep_the_name(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*folders, "--no-first-frame", "--workers", 1) == 0
    assert "Protocol davis2017: " in capsys.readouterr().out


def test_a_failed_video_is_named_and_the_exit_code_says_so(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(folders[0] / "m08_late_low")
    assert run(*folders, "--workers", 1) == 1
    text = capsys.readouterr().out
    assert "failed: m08_late_low: no prediction folder" in text
    assert "m07_late_top_ghost" in text


def test_videos_from_a_list(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "val.txt").write_text("m08_late_low\n\n")
    assert run(*folders, "--videos", tmp_path / "val.txt") == 0
    assert "m07" not in capsys.readouterr().out
    with pytest.raises(HS2SError, match=r"none\.txt: cannot be read"):
        run(*folders, "--videos", tmp_path / "none.txt")


def test_first_frame_annotations_alone_give_no_score(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    for path in folders[1].glob("*/*.png"):
        if path.stem != "00000":
            path.unlink()
    assert run(*folders, "--protocol", "youtube_vos", "--workers", 1) == 0
    text = capsys.readouterr().out
    assert "no score" in text
    assert "can only be scored by its server" in text


def test_bad_output_is_refused_before_work(folders: tuple[Path, Path]) -> None:
    with pytest.raises(HS2SError, match=r"expected one of \.csv, \.parquet, \.json"):
        run(folders[0] / "missing", folders[1], "--out", "rows.txt")


def test_what_has_no_overall_score_is_refused_before_work(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = {"1": {"seen": True}, "2": {}, "3": {"frames": []}}
    videos = {"m07_late_top_ghost": {"objects": objects}}
    (folders[1] / "meta.json").write_text(json.dumps({"videos": videos}))
    with monkeypatch.context() as patched:
        patched.setattr("hs2s_core.evaluation.folders.read_mask_file", no_work)
        with pytest.raises(HS2SError, match=r"1 object .*\(m07_late_top_ghost/2\).* for 1 more"):
            run(*folders, "--protocol", "youtube_vos", "--workers", 1)
    # Protocols without groups do not ask, and neither do videos that are not evaluated.
    assert run(*folders, "--workers", 1) == 0
    (folders[1] / "names.txt").write_text("m08_late_low")
    names = ("--videos", folders[1] / "names.txt")
    assert run(*folders, "--protocol", "youtube_vos", "--workers", 1, *names) == 0


def no_work(*_: object, **__: object) -> None:
    raise AssertionError("a frame was read")


def test_the_table_is_written_before_anything_is_printed(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> str:
        raise HS2SError("the report cannot be made")

    monkeypatch.setattr("hs2s_core.evaluation.report.format_table", fail)
    out = tmp_path / "rows.csv"
    with pytest.raises(HS2SError, match="the report cannot be made"):
        run(*folders, "--workers", 1, "--out", out)
    assert len(out.read_text().splitlines()) == 145


def test_scores_are_printed_where_the_table_cannot_be_written(
    folders: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="the disk is full"):
        run(*folders, "--workers", 1, "--out", tmp_path / "rows.csv")
    assert "79.78" in capsys.readouterr().out


def test_help_describes_every_protocol(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("--help")
    text = capsys.readouterr().out
    for protocol in PROTOCOLS.values():
        assert protocol.description in text
