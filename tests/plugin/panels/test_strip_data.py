"""What the strip of one video draws, from known signs and scores."""

from __future__ import annotations

import numpy as np

from hs2s_core.propagation.signs import Sign
from hs2s_fiftyone.panels import strip_plots as plots
from hs2s_fiftyone.panels.strip_data import MAX_LINES, MAX_POINTS, make_strip
from hs2s_fiftyone.propagation.suggest import VideoSigns

from ...evaluation.tables import make_table, make_track


def sign(
    frame: int,
    object_id: int = 1,
    *,
    given: bool = False,
    present: bool = True,
    confidence: float = 0.9,
    disagreement: float | None = None,
) -> Sign:
    area, distance = 10 * present, 0 if given else 5
    return Sign(frame, object_id, given, present, area, confidence, disagreement, distance)


def signs(rows: list[Sign], corrected: set[tuple[int, int]] | None = None) -> VideoSigns:
    labels = {row.object: "cat" if row.object == 1 else None for row in rows}
    return VideoSigns(1 + max(row.frame for row in rows), rows, labels, corrected or set())


def test_without_truth_it_shows_confidence_and_disagreement() -> None:
    rows = [
        sign(0, given=True, confidence=1.0),
        sign(1, confidence=0.7, disagreement=0.25),
        sign(2, present=False, confidence=0.0),
        sign(3, given=True, confidence=1.0),
        sign(0, 2, confidence=0.8),
    ]
    strip = make_strip(signs(rows, corrected={(3, 1)}))
    first, second = strip.scores
    assert (first.name, second.name) == ("cat 1", "object 2")
    np.testing.assert_equal(first.values, [1.0, 0.7, np.nan, 1.0])
    assert not strip.evaluated
    assert [line.name for line in strip.disagreement] == ["cat 1"]
    np.testing.assert_equal(strip.disagreement[0].values, [np.nan, 0.25, np.nan, np.nan])
    assert strip.given == {0: ["cat 1"]}
    assert strip.corrected == {3: ["cat 1"]}
    assert strip.suggested not in (None, 3)
    assert strip.low == 60


def test_with_an_evaluation_it_shows_its_scores() -> None:
    table = make_table([make_track("clip", [1.0, 0.5, 0.0], category="cat")])
    strip = make_strip(signs([sign(0, given=True), sign(1), sign(2)]), table.rows)
    (line,) = strip.scores
    rows = list(table.rows)
    np.testing.assert_allclose(line.values, [(row.j + row.f) / 2 for row in rows])
    np.testing.assert_equal(line.frames, [row.frame for row in rows])
    assert strip.evaluated
    assert strip.low == 0


def test_a_long_video_keeps_its_worst_frames() -> None:
    length, dip = 7 * MAX_POINTS, 3210
    rows = [sign(frame, confidence=0.2 if frame == dip else 0.9) for frame in range(length)]
    strip = make_strip(signs(rows))
    (line,) = strip.scores
    assert len(line.frames) == MAX_POINTS
    assert line.frames[np.argmin(line.values)] == dip


def test_of_many_objects_it_shows_the_worst() -> None:
    many = MAX_LINES + 3
    rows = [sign(0, each, confidence=1 - 0.01 * each) for each in range(1, many + 1)]
    strip = make_strip(signs(rows))
    assert [line.name for line in strip.scores] == [f"object {n}" for n in range(4, many + 1)]
    assert strip.left_out == 3


def test_what_is_drawn() -> None:
    rows = [sign(0, given=True), sign(1, disagreement=0.5), sign(2)]
    strip = make_strip(signs(rows, corrected={(0, 1)}))
    drawn = {trace["name"]: trace for trace in plots.traces(strip, 10.0, at=2)}
    assert drawn["Corrected masks"]["x"] == [1]  # numbers from 1, as the App counts frames
    assert drawn["Chosen"]["x"] == [3, 3]
    assert strip.suggested is not None
    assert drawn["Suggested next"]["x"] == [strip.suggested + 1] * 2
    assert "Given masks" not in drawn
    scores, apart = (t for t in plots.traces(strip, 10.0) if t["name"] == "cat 1")
    assert (scores["yaxis"], apart["yaxis"]) == ("y", "y2")
    assert apart["y"] == [None, 50.0, None]
    assert plots.time_of(123, 2.0) == "frame 124 (1:01.50)"
    assert plots.time_of(0, None) == "frame 1"
