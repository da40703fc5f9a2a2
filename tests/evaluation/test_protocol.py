"""Which frames of an object each protocol counts."""

from __future__ import annotations

import dataclasses

import pytest

from hs2s_core.errors import InvalidConfig
from hs2s_core.evaluation import PROTOCOLS, Protocol, find_protocol


def counted(protocol: str | Protocol, truth: str, prediction: str = "", listed: str = "") -> str:
    """Mark frames with 1 and 0; the prompt is the first frame in the truth."""
    marks = [[mark == "1" for mark in text or truth] for text in (truth, prediction)]
    listing = [mark == "1" for mark in listed or "1" * len(truth)]
    result = find_protocol(protocol).counted(
        prompt=truth.index("1"), in_truth=marks[0], in_prediction=marks[1], listed=listing
    )
    return "".join("01"[mark] for mark in result)


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [
        ("davis2016", "0111110"),
        ("davis2017", "0111110"),
        ("vos_benchmark", "0011110"),
        ("youtube_vos", "0001111"),
        ("all_frames", "1111111"),
    ],
)
def test_object_that_enters_late_and_leaves(protocol: str, expected: str) -> None:
    assert counted(protocol, truth="0011100") == expected


@pytest.mark.parametrize(
    ("truth", "prediction", "expected"),
    [
        ("0011111", "0111111", "0111110"),  # first seen in the prediction
        ("1000111", "1000000", "0000110"),  # what the skipped first frame shows does not count
        ("1000001", "1010001", "0000000"),  # never in the truth of a frame that counts
    ],
)
def test_vos_benchmark_starts_at_first_sight(truth: str, prediction: str, expected: str) -> None:
    assert counted("vos_benchmark", truth, prediction) == expected


def test_youtube_vos_keeps_to_listed_frames() -> None:
    assert counted("youtube_vos", "0111100", listed="0111010") == "0011010"
    assert counted("davis2017", "0111100", listed="0111010") == "0111110"


def test_flags_make_variants() -> None:
    base = PROTOCOLS["youtube_vos"]
    assert counted(dataclasses.replace(base, prompt_frame=True), "0111") == "0111"
    assert counted(dataclasses.replace(base, last_frame=False), "0111") == "0010"
    assert counted(dataclasses.replace(PROTOCOLS["davis2017"], last_frame=True), "0111") == "0111"


def test_videos_of_one_frame() -> None:
    assert counted("davis2017", "1") == counted("youtube_vos", "1") == "0"
    assert counted("all_frames", "1") == "1"


def test_descriptions_are_one_line_and_follow_the_flags() -> None:
    for name, protocol in PROTOCOLS.items():
        assert protocol.name == name
        assert protocol.description.startswith(f"{name}: ")
        assert "\n" not in protocol.description
    assert "but the video's first and last" in PROTOCOLS["davis2017"].description
    assert "its prompt frame" in PROTOCOLS["youtube_vos"].description
    flagged = dataclasses.replace(PROTOCOLS["youtube_vos"], prompt_frame=True)
    assert "but" not in flagged.description


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidConfig, match=r"'davis'; .*davis2016, davis2017, youtube_vos"):
        find_protocol("davis")
    with pytest.raises(InvalidConfig, match="start is 'birth'"):
        Protocol("mine", start="birth")
