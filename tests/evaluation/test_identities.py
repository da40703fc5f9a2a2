"""Predictions whose ids are not the truth's: what is said of them, and how they are matched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from hs2s_core.errors import HS2SError
from hs2s_core.evaluation import FramePair, evaluate_folders, evaluate_sequence
from hs2s_core.evaluation.identities import renumber, tie_ids

WriteVideos = Callable[[Path, Mapping[str, Mapping[str, np.ndarray]]], Path]


def frames(ids: Mapping[str, int], count: int = 4) -> list[np.ndarray]:
    """Three rectangles; ``late`` is there from the third frame on."""
    maps = []
    for place in range(count):
        id_map = np.zeros((30, 40), np.uint8)
        id_map[2:10, 3 + place : 15 + place] = ids["left"]
        id_map[12:20, 20:36] = ids["right"]
        if place >= 2:
            id_map[22:29, 5:20] = ids["late"]
        maps.append(id_map)
    return maps


TRUTH = {"left": 1, "right": 2, "late": 3}
SWAPPED = {"left": 2, "right": 3, "late": 1}
FROM_FIVE = {"left": 5, "right": 6, "late": 7}


def notes(predicted: list[np.ndarray], protocol: str = "davis2017") -> tuple[str, ...]:
    pairs = (
        FramePair(mine, true, place)
        for place, (mine, true) in enumerate(zip(predicted, frames(TRUTH), strict=True))
    )
    return evaluate_sequence("clip", pairs, protocol).notes


@pytest.mark.parametrize("ids", [SWAPPED, FROM_FIVE])
def test_other_numbers_are_told_from_bad_masks(ids: Mapping[str, int]) -> None:
    (note,) = notes(frames(ids))
    assert note.startswith("clip: the objects seem to be numbered differently")
    assert "100 % by overlap, but 0 % by their ids" in note
    assert "match='overlap'" in note


def test_nothing_is_said_of_ids_that_agree_or_masks_that_are_bad() -> None:
    assert notes(frames(TRUTH)) == ()
    assert notes([np.roll(ids, 15, 0) for ids in frames(TRUTH)]) == ()
    # All objects count as one there.
    assert notes(frames(SWAPPED), "davis2016") == ()


def test_objects_that_are_never_predicted_are_named() -> None:
    """A total of nothing, or of a third, comes with its cause."""
    count = len(TRUTH)
    (note,) = notes([np.zeros((30, 40), np.uint8)] * 4)
    assert f"never shows {count} of {count} objects" in note
    (note,) = notes([(ids > 0).astype(np.uint8) for ids in frames(TRUTH)])
    assert f"never shows {count - 1} of {count} objects" in note
    assert "protocol davis2016" in note
    assert notes([(ids > 0).astype(np.uint8) for ids in frames(TRUTH)], "davis2016") == ()


def test_objects_are_tied_where_they_first_appear() -> None:
    pairs = zip(frames(SWAPPED), frames(TRUTH), strict=True)
    assert tie_ids(pairs) == {2: 1, 3: 2, 1: 3}
    wide = np.array([[0, 300, 9]], np.uint16)
    assert renumber(wide, {300: 1}).tolist() == [[0, 1, 0]]
    assert renumber(wide, {}).tolist() == [[0, 0, 0]]


def test_folders_can_be_matched_by_overlap(tmp_path: Path, write_videos: WriteVideos) -> None:
    for name, ids in (("truth", TRUTH), ("same", TRUTH), ("other", SWAPPED)):
        maps = {f"{place:05d}": id_map for place, id_map in enumerate(frames(ids))}
        write_videos(tmp_path / name, {"clip": maps})
    expected = evaluate_folders(tmp_path / "same", tmp_path / "truth")
    matched = evaluate_folders(tmp_path / "other", tmp_path / "truth", match="overlap")
    assert matched == expected
    assert evaluate_folders(tmp_path / "other", tmp_path / "truth").summary() != expected.summary()
    merged = [
        evaluate_folders(tmp_path / name, tmp_path / "truth", "davis2016", match="overlap")
        for name in ("same", "other")
    ]
    assert merged[0] == merged[1]
    with pytest.raises(HS2SError, match="match is 'iou'; expected one of ids, overlap"):
        evaluate_folders(tmp_path / "same", tmp_path / "truth", match="iou")
