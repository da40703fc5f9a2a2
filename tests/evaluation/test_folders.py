"""Folders of predictions: layouts, metadata, processes, and errors that say which file."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hs2s_core.data.folders import find_annotations
from hs2s_core.errors import HS2SError, InvalidDataset
from hs2s_core.evaluation import evaluate_folders
from hs2s_core.jobs import Progress
from tests.shapes import save_noise

WriteVideos = Callable[[Path, Mapping[str, Mapping[str, np.ndarray]]], Path]
FRAMES = ("00000", "00005", "00010", "00015")


def video(seed: int, size: tuple[int, int] = (20, 30), ids: int = 2) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    maps = rng.integers(0, ids + 1, (len(FRAMES), *size), dtype=np.uint8)
    return dict(zip(FRAMES, maps, strict=True))


@pytest.fixture
def folders(tmp_path: Path, write_videos: WriteVideos) -> tuple[Path, Path]:
    """Predictions and truth of three videos."""
    predictions = write_videos(tmp_path / "pred", {f"v{n}": video(n) for n in (1, 2, 10)})
    truth = write_videos(tmp_path / "truth", {f"v{n}": video(50 + n) for n in (1, 2, 10)})
    return predictions, truth


@pytest.mark.parametrize("layout", ["", "Annotations", "Annotations/480p"])
def test_layouts(
    tmp_path: Path, write_videos: WriteVideos, folders: tuple[Path, Path], layout: str
) -> None:
    plain = evaluate_folders(*folders)
    root = tmp_path / "other"
    write_videos(root / layout, {f"v{n}": video(50 + n) for n in (1, 2, 10)})
    (root / "meta").mkdir()
    assert evaluate_folders(folders[0], root).rows == plain.rows
    assert list(find_annotations(root)) == ["v1", "v2", "v10"]
    nested = root / "nested"
    write_videos(nested / layout, {f"v{n}": video(n) for n in (1, 2, 10)})
    assert evaluate_folders(nested, folders[1]).rows == plain.rows


def test_several_processes_give_the_same_table(folders: tuple[Path, Path]) -> None:
    (folders[0] / "v2" / "00010.png").unlink()
    seen: list[Progress] = []
    alone = evaluate_folders(*folders, "youtube_vos")
    together = evaluate_folders(*folders, "youtube_vos", workers=2, progress=seen.append)
    assert together == alone
    assert (seen[0].videos, seen[-1].videos) == (0, 3)
    assert {step.total for step in seen} == {3}


def test_a_perfect_prediction_scores_one(folders: tuple[Path, Path]) -> None:
    overall = evaluate_folders(folders[1], folders[1], "all_frames").summary().overall
    assert overall is not None
    assert (overall.jf, overall.objects) == (1, 6)


def test_frames_the_truth_lacks_are_ignored(
    folders: tuple[Path, Path], write_videos: WriteVideos
) -> None:
    plain = evaluate_folders(*folders)
    write_videos(folders[0], {"v1": {"00001": np.ones((3, 3), np.uint8)}, "v9": video(9)})
    (folders[0] / "v1" / "._00000.png").write_text("macOS")
    (folders[1] / "v1" / "._00000.png").write_text("macOS")
    assert evaluate_folders(*folders) == plain


def break_size(folder: Path) -> None:
    Image.fromarray(np.ones((10, 15), np.uint8)).save(folder / "00005.png")


def break_colours(folder: Path) -> None:
    save_noise(folder / "00005.png", (20, 30))


def break_file(folder: Path) -> None:
    (folder / "00005.png").write_bytes((folder / "00005.png").read_bytes()[:60])


def remove_frame(folder: Path) -> None:
    (folder / "00005.png").unlink()


def remove_frames(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


def remove_folder(folder: Path) -> None:
    folder.rename(folder.with_name("other"))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (break_size, r"v2, frame 00005: the prediction has shape \(10, 15\) .*\(20, 30\)"),
        (break_colours, r"v2/00005.png: has \d+ colours"),
        (break_file, "v2/00005.png: cannot be read"),
        (remove_frame, r"v2: lacks 1 of 4 annotated frames \(00005.png\), and has 00000.png, "),
        (remove_frames, r"v2: lacks 4 of 4 .*, and has none; expected"),
        (remove_folder, "no prediction folder .*v2"),
    ],
)
def test_one_bad_video_is_reported_and_the_others_finish(
    folders: tuple[Path, Path], damage: Callable[[Path], None], message: str
) -> None:
    whole = evaluate_folders(*folders)
    damage(folders[0] / "v2")
    table = evaluate_folders(*folders)
    assert [failure.video for failure in table.failures] == ["v2"]
    assert re.search(message, table.failures[0].reason)
    assert list(table.rows) == [row for row in whole.rows if row.video != "v2"]


def test_bad_truth_is_reported_too(folders: tuple[Path, Path]) -> None:
    break_colours(folders[1] / "v10")
    table = evaluate_folders(*folders)
    assert [failure.video for failure in table.failures] == ["v10"]
    assert "truth" in table.failures[0].reason


def test_only_the_videos_asked_for(folders: tuple[Path, Path]) -> None:
    table = evaluate_folders(*folders, videos=["v10", "v1"])
    assert {row.video for row in table.rows} == {"v1", "v10"}
    with pytest.raises(InvalidDataset, match=r"no annotations of 1 wanted video \(\.\./v1\)"):
        evaluate_folders(*folders, videos=["../v1"])
    with pytest.raises(InvalidDataset, match="list of videos to evaluate is empty"):
        evaluate_folders(*folders, videos=[])


def test_unusable_folders_are_refused_at_once(folders: tuple[Path, Path], tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    zipped = tmp_path / "pred.zip"
    zipped.touch()
    for predictions, truth, message in (
        (tmp_path / "none", folders[1], "none: no such prediction folder; expected DIR/<video>"),
        (folders[0], tmp_path / "none", "none: no such truth folder"),
        (zipped, folders[1], "pred.zip: a file, to unpack if it is a zip; expected DIR/<video>"),
        (folders[0], empty, "no truth videos found"),
    ):
        with pytest.raises(InvalidDataset, match=message):
            evaluate_folders(predictions, truth)
    with pytest.raises(HS2SError, match="workers is 0"):
        evaluate_folders(*folders, workers=0)


def test_black_and_white_masks_as_davis2016_has_them(tmp_path: Path) -> None:
    mask = np.zeros((20, 30), np.uint8)
    mask[5:9, 6:20] = 255
    for folder in ("pred", "truth"):
        (tmp_path / folder / "v").mkdir(parents=True)
        for frame in FRAMES:
            Image.fromarray(mask).save(tmp_path / folder / "v" / f"{frame}.png")
    table = evaluate_folders(tmp_path / "pred", tmp_path / "truth", "davis2016")
    assert table.failures == ()
    assert [row.area_truth for row in table.rows] == [56] * 4
    other = evaluate_folders(tmp_path / "pred", tmp_path / "truth", "davis2017")
    assert [(row.object, row.area_truth) for row in other.rows] == [(1, 56)] * 4


def write_meta(path: Path, entries: Mapping[str, object], video: str = "v1") -> Path:
    path.write_text(json.dumps({"videos": {video: {"objects": entries}}}))
    return path


def test_meta_beside_the_truth(folders: tuple[Path, Path], tmp_path: Path) -> None:
    objects = {
        "1": {"category": "cat", "frames": ["00005", "00015"]},
        "2": {"category": "emu", "frames": list(FRAMES)},
    }
    write_meta(folders[1] / "meta.json", objects)
    train = write_meta(tmp_path / "train.json", {"4": {"category": "cat"}}, "w")
    table = evaluate_folders(*folders, "youtube_vos", train_meta=train, videos=["v1"])
    counted = [(row.object, row.frame_name) for row in table.rows if row.counted]
    assert counted == [(1, "00005"), (1, "00015"), *[(2, frame) for frame in FRAMES[1:]]]
    scores = table.summary()
    assert {(score.object, score.category, score.seen) for score in scores.objects} == {
        (1, "cat", True),
        (2, "emu", False),
    }
    assert set(scores.groups) == {"seen", "unseen"}
    named = evaluate_folders(*folders, "youtube_vos", meta=folders[1] / "meta.json")
    assert {row.seen for row in named.rows} == {None}


def test_meta_may_say_seen_itself(folders: tuple[Path, Path]) -> None:
    entries = {"1": {"seen": True}, "2": {"seen": False}}
    (folders[1] / "Annotations").mkdir()
    for name in ("v1", "v2", "v10"):
        (folders[1] / name).rename(folders[1] / "Annotations" / name)
    write_meta(folders[1] / "meta.json", entries)
    # The file is found whether the folder itself or the one above is given.
    for truth in (folders[1], folders[1] / "Annotations"):
        table = evaluate_folders(folders[0], truth, videos=["v1"])
        assert {(row.object, row.seen) for row in table.rows} == {(1, True), (2, False)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", 'has no "videos"'),
        ('{"videos": {"v1": {}}}', 'video .v1., "objects": found NoneType'),
        ('{"videos": {"v1": {"objects": {"1": 5}}}}', "video .v1., object 1: found int"),
        ('{"videos": {"v1": {"objects": {"x": {}}}}}', "positive integer"),
        ('{"videos": {"v1": {"objects": {"1": {"seen": "yes"}}}}}', "\"seen\" is 'yes'"),
        ('{"videos": {"v1": {"objects": {"1": {"category": 3}}}}}', '"category" is 3'),
        ('{"videos": {"v1": {"objects": {"1": {"frames": "0"}}}}}', "not a list"),
    ],
)
def test_unusable_metadata_is_named(folders: tuple[Path, Path], text: str, message: str) -> None:
    (folders[1] / "meta.json").write_text(text)
    with pytest.raises(InvalidDataset, match=message) as caught:
        evaluate_folders(*folders)
    assert "meta.json" in str(caught.value)


def test_seen_needs_categories_on_both_sides(folders: tuple[Path, Path], tmp_path: Path) -> None:
    train = write_meta(tmp_path / "train.json", {"1": {"category": "cat"}})
    with pytest.raises(InvalidDataset, match=r"no meta\.json beside the truth"):
        evaluate_folders(*folders, train_meta=train)
    write_meta(folders[1] / "meta.json", {"1": {}})
    with pytest.raises(InvalidDataset, match="has no category of v1/1; expected"):
        evaluate_folders(*folders, train_meta=train)
    write_meta(train, {"1": {}})
    with pytest.raises(InvalidDataset, match=r"expected the training meta\.json"):
        evaluate_folders(*folders, train_meta=train)


def test_meta_above_a_resolution_or_two(folders: tuple[Path, Path], tmp_path: Path) -> None:
    deep = tmp_path / "set" / "Annotations" / "480p"
    deep.parent.mkdir(parents=True)
    folders[1].rename(deep)
    write_meta(tmp_path / "set" / "meta.json", {"1": {"category": "cat"}, "2": {}})
    for truth in (deep, deep.parent, tmp_path / "set"):
        table = evaluate_folders(folders[0], truth, videos=["v1"])
        assert {(row.object, row.category) for row in table.rows} == {(1, "cat"), (2, None)}
    # One further away that knows none of the videos is another set's.
    write_meta(tmp_path / "set" / "meta.json", {"1": {"category": "cat"}}, "other")
    table = evaluate_folders(folders[0], deep, videos=["v1"])
    assert {row.category for row in table.rows} == {None}
