"""J and F in FiftyOne: the numbers, where they are stored, and how runs come and go."""

from __future__ import annotations

from pathlib import Path

import fiftyone as fo
import pytest

from hs2s_core.evaluation import evaluate_folders
from hs2s_fiftyone.evaluation import evaluate, load_results, load_table

from .made import IdMaps, add_video, moving, write_folder


def _videos() -> dict[str, tuple[IdMaps, IdMaps]]:
    """Truth and predictions: shifted, lost from frame 10 on, and annotated in every second frame
    with an object that enters late and one that is predicted although it left."""
    start = {1: (4, 2), 2: (26, 10)}
    lost = moving(30, start)
    for id_map in lost[10:]:
        id_map[id_map == 2] = 0
    sparse = moving(12, start)
    for index, id_map in enumerate(sparse):
        if index < 4:
            id_map[id_map == 2] = 0
        if index > 8:
            id_map[id_map == 1] = 0
    return {
        "shifted": (moving(6, start), moving(6, start, shift=2)),
        "lost": (moving(30, start), lost),
        "sparse": (
            [id_map if index % 2 == 0 else None for index, id_map in enumerate(sparse)],
            moving(12, start, shift=1),
        ),
    }


@pytest.fixture
def videos(dataset: fo.Dataset) -> dict[str, tuple[IdMaps, IdMaps]]:
    made = _videos()
    for name, (truth, predicted) in made.items():
        add_video(dataset, name, truth, predicted)
    return made


@pytest.mark.parametrize("protocol", ["davis2016", "davis2017", "youtube_vos", "all_frames"])
def test_numbers_are_those_of_the_folders(
    dataset: fo.Dataset,
    videos: dict[str, tuple[IdMaps, IdMaps]],
    tmp_path: Path,
    protocol: str,
) -> None:
    truth = {name: maps for name, (maps, _) in videos.items()}
    predicted = {name: maps for name, (_, maps) in videos.items()}
    expected = evaluate_folders(
        write_folder(tmp_path / "predicted", predicted, truth),
        write_folder(tmp_path / "truth", truth, truth),
        protocol,
    )
    results = evaluate(dataset, "frames.pred", "truth", "scores", protocol, progress=False)

    wanted = {(r.video, r.object, r.since_prompt): r for r in expected.rows}
    assert len(results.table.rows) == len(wanted)
    for row in results.table.rows:
        other = wanted[row.video, row.object, row.since_prompt]
        same = {"category", "frame", "frame_name"}
        assert {k: v for k, v in row._asdict().items() if k not in same} == {
            k: v for k, v in other._asdict().items() if k not in same
        }
    overall = expected.summary().overall
    assert overall is not None
    assert results.summary.overall == overall
    assert results.metrics()["jf"] == overall.jf


def test_table_survives_the_database(dataset: fo.Dataset, videos: object) -> None:
    made = evaluate(dataset, "pred", "truth", "scores", progress=False)
    dataset.clear_cache()
    read = load_table(dataset, "scores")
    assert read == made.table
    loaded = load_results(dataset, "scores")
    assert loaded is not made
    assert loaded.sample_ids == {
        Path(path).stem: key for key, path in zip(*dataset.values(["id", "filepath"]), strict=True)
    }
    j, f = loaded.scores()
    assert j.tolist() == [row.j for row in read.rows]
    assert f.tolist() == [row.f for row in read.rows]
    assert made.columns.records.tobytes() == loaded.columns.records.tobytes()
