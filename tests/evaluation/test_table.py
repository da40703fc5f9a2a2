"""From frames to rows: who gets rows, what they hold, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from hs2s_core.errors import HS2SError, InvalidDataset, InvalidMask
from hs2s_core.evaluation import (
    PROTOCOLS,
    EvaluationTable,
    FramePair,
    ObjectInfo,
    Rows,
    evaluate_sequence,
)

from .tables import by_object

SIZE = (12, 16)


def id_map(*boxes: int) -> np.ndarray:
    """A map with a 3 x 3 block for each id, side by side."""
    ids = np.zeros(SIZE, np.uint8)
    for object_id in boxes:
        ids[4:7, 4 * object_id - 3 : 4 * object_id] = object_id
    return ids


def pairs(frames: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]) -> list[FramePair]:
    """Frames from (ids predicted, ids in the truth)."""
    return [
        FramePair(id_map(*predicted), id_map(*true), frame, f"{frame:05}")
        for frame, (predicted, true) in enumerate(frames)
    ]


def test_one_row_per_object_and_frame() -> None:
    frames = pairs([((1,), (1,)), ((1,), (1,)), ((1, 2), (1, 2)), ((), (2,)), ((1,), ())])
    table = evaluate_sequence("v", frames, "all_frames")
    tracks = by_object(table.rows)
    assert list(tracks) == [("v", 1), ("v", 2)]
    one, two = tracks.values()
    assert [row.j for row in one] == [1, 1, 1, 1, 0]
    assert [row.in_truth for row in one] == [True, True, True, False, False]
    assert [row.in_prediction for row in one] == [True, True, True, False, True]
    # Object 2 has rows before it enters, though nothing was known of it then.
    assert [row.since_prompt for row in two] == [-2, -1, 0, 1, 2]
    assert [row.j for row in two] == [1, 1, 1, 0, 1]
    assert [row.frame_name for row in two] == ["00000", "00001", "00002", "00003", "00004"]
    assert table.notes == ()


def test_counts_lead_back_to_j_and_f() -> None:
    truth, prediction = id_map(1), np.roll(id_map(1), 1, axis=1)
    row = evaluate_sequence("v", [FramePair(prediction, truth, 0)], "all_frames").rows[0]
    assert (row.area_truth, row.area_prediction, row.intersection) == (9, 9, 6)
    assert row.j == 6 / 12
    precision = row.matched_prediction / row.boundary_prediction
    recall = row.matched_truth / row.boundary_truth
    assert row.f == pytest.approx(2 * precision * recall / (precision + recall))


def test_prediction_before_an_object_enters_is_remembered() -> None:
    frames = pairs([((2,), ()), ((), ()), ((2,), (2,))])
    rows = evaluate_sequence("v", frames, "all_frames").rows
    assert [row.j for row in rows] == [0, 1, 1]
    assert [row.area_prediction for row in rows] == [9, 0, 9]


def test_ids_the_truth_never_has_are_noted_not_scored() -> None:
    table = evaluate_sequence("v", pairs([((1, 3), (1,)), ((2,), (1,))]), "all_frames")
    assert {row.object for row in table.rows} == {1}
    assert table.notes == ("v: predicted ids that the truth never has are not scored: 2, 3.",)


def test_truth_without_objects_is_noted() -> None:
    table = evaluate_sequence("v", pairs([((1,), ())]), "all_frames")
    assert table.rows == Rows()
    assert "shows no object" in table.notes[0]
    assert table.summary().overall is None


def test_merged_objects_are_one() -> None:
    table = evaluate_sequence("v", pairs([((3,), (1, 2)), ((1, 2), (2, 1))]), "davis2016")
    assert [(row.object, row.j) for row in table.rows] == [(1, 0), (1, 1)]


def test_what_is_known_of_objects_reaches_rows() -> None:
    objects = {1: ObjectInfo("cat", True, ("00000", "00002"))}
    frames = pairs([((1, 2), (1, 2))] * 3)
    table = evaluate_sequence("v", frames, "youtube_vos", objects=objects)
    tracks = by_object(table.rows)
    assert {(row.category, row.seen) for row in tracks["v", 1]} == {("cat", True)}
    assert [row.counted for row in tracks["v", 1]] == [False, False, True]
    assert not any(row.counted for row in tracks["v", 2])
    assert table.summary().uncounted == (("v", 2),)


def test_prompt_given_in_a_later_frame() -> None:
    frames = [pair._replace(frame=5 * pair.frame) for pair in pairs([((1,), (1,))] * 4)]
    table = evaluate_sequence("v", frames, "youtube_vos", prompts={1: 10})
    assert [row.frame for row in table.rows] == [0, 5, 10, 15]
    assert [row.since_prompt for row in table.rows] == [-2, -1, 0, 1]
    assert [row.counted for row in table.rows] == [False, False, False, True]
    with pytest.raises(InvalidDataset, match="object 1 is prompted in frame 7"):
        evaluate_sequence("v", frames, "youtube_vos", prompts={1: 7})


def test_frames_come_from_a_stream() -> None:
    read = 0

    def stream() -> object:
        nonlocal read
        for pair in pairs([((1,), (1,))] * 5):
            read += 1
            yield pair

    assert len(evaluate_sequence("v", stream()).rows) == read == 5  # type: ignore[arg-type]


def test_bad_frames_are_named() -> None:
    frames = pairs([((1,), (1,))] * 3)
    frames[1] = frames[1]._replace(prediction=np.zeros((6, 8), np.uint8))
    with pytest.raises(InvalidMask, match=r"v, frame 00001: .*\(6, 8\) .*\(12, 16\)"):
        evaluate_sequence("v", frames)
    with pytest.raises(InvalidDataset, match="v: has no annotated frame"):
        evaluate_sequence("v", [])
    with pytest.raises(InvalidDataset, match="frame 0 follows frame 2"):
        evaluate_sequence("v", [frames[2], frames[0]])


def test_join() -> None:
    one = evaluate_sequence("a", pairs([((1, 2), (1,))] * 2), "all_frames")
    two = evaluate_sequence("b", pairs([((), (1,))] * 2), "all_frames")
    both = EvaluationTable.join([one, two])
    assert list(both.rows) == [*one.rows, *two.rows]
    assert both.notes == one.notes + two.notes
    summary = both.summary()
    assert summary.overall is not None
    assert summary.overall.j.mean == 0.5
    other = EvaluationTable(PROTOCOLS["davis2017"])
    with pytest.raises(HS2SError, match="all_frames, davis2017"):
        EvaluationTable.join([one, other])
    with pytest.raises(HS2SError, match="none"):
        EvaluationTable.join([])
