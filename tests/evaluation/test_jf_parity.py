"""Agreement with the DAVIS-2017 tool and vos-benchmark on stored sequences, to 1e-9."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from hs2s_core.evaluation import EvaluationTable, evaluate_folders

# The stored numbers have twelve decimals.
CLOSE = 1e-9


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def davis(jf_data: Path) -> EvaluationTable:
    return evaluate_folders(jf_data / "predictions", jf_data / "truth", "davis2017")


def object_means(table: EvaluationTable) -> dict[tuple[str, int], tuple[float, float]]:
    scores = table.summary().objects
    return {(score.video, score.object): (score.j.mean, score.f.mean) for score in scores}


def test_every_object_in_every_frame(jf_data: Path, davis: EvaluationTable) -> None:
    ours = {(row.video, row.frame_name, row.object): row for row in davis.rows}
    stored = read_csv(jf_data / "per_frame.csv")
    assert len(stored) == len(ours) == 720
    for line in stored:
        row = ours[line["sequence"], line["frame"], int(line["object"])]
        assert row.j == pytest.approx(float(line["J"]), abs=CLOSE)
        assert row.f == pytest.approx(float(line["F"]), abs=CLOSE)


def test_davis2017_follows_the_davis_tool_wherever_it_scores(
    jf_data: Path, davis: EvaluationTable
) -> None:
    ours = object_means(davis)
    compared = 0
    for line in read_csv(jf_data / "per_object.csv"):
        j, f = ours[line["sequence"], int(line["object"])]
        # Where the tool refuses the folder, its numbers without the offending id are stored too.
        if line["davis2017_clipped_J"] != "not scored":
            assert j == pytest.approx(float(line["davis2017_clipped_J"]), abs=CLOSE)
            assert f == pytest.approx(float(line["davis2017_clipped_F"]), abs=CLOSE)
            compared += 1
        if line["davis2017_J"] != "refused":
            assert line["davis2017_J"] == line["davis2017_clipped_J"]
    assert compared == 28


def test_objects_the_davis_tool_refuses_are_scored_over_the_same_frames(
    jf_data: Path, davis: EvaluationTable
) -> None:
    refused = [
        (line["sequence"], int(line["object"]))
        for line in read_csv(jf_data / "per_object.csv")
        if line["davis2017_clipped_J"] == "not scored"
    ]
    assert refused == [("m06_late_top", 3), ("m07_late_top_ghost", 3)]
    for key in refused:
        rows = [row for row in davis.rows if (row.video, row.object) == key]
        assert [row.counted for row in rows] == [False, *[True] * 22, False]


def test_vos_benchmark_follows_its_tool_everywhere(jf_data: Path) -> None:
    table = evaluate_folders(jf_data / "predictions", jf_data / "truth", "vos_benchmark")
    ours = object_means(table)
    stored = read_csv(jf_data / "per_object.csv")
    assert len(stored) == len(ours) == 30
    for line in stored:
        j, f = ours[line["sequence"], int(line["object"])]
        assert j == pytest.approx(float(line["vos_benchmark_J"]), abs=CLOSE)
        assert f == pytest.approx(float(line["vos_benchmark_F"]), abs=CLOSE)


def test_the_two_tools_differ_only_for_late_objects(jf_data: Path) -> None:
    stored = read_csv(jf_data / "per_object.csv")
    differing = {
        (line["sequence"], line["object"])
        for line in stored
        if line["davis2017_J"] not in ("refused", line["vos_benchmark_J"])
    }
    assert differing == {("m04_late_mid", "2"), ("m05_late_mid_ghost", "2"), ("m08_late_low", "1")}
