"""What is known without truth, and the frames that it says to correct."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hs2s_core.errors import HS2SError
from hs2s_core.prompts import Prompts
from hs2s_core.propagation import FrameResult, Sign, propagate, signs_of, suggest_frames
from hs2s_core.propagation.session import Session
from hs2s_core.propagation.signs import read_signs, writing_signs

from .carrier import Carrier, Clip, box


def sign(frame: int, *, given: bool = False, confidence: float = 1.0, other: int = 1) -> Sign:
    return Sign(frame, other, given, True, 16, confidence, None, None)


def test_every_object_and_frame_has_its_sign() -> None:
    prompts = {0: {1: box(2, 1), 300: box(7, 1)}, 4: {1: box(2, 2)}}
    found = {
        (each.frame, each.object): each
        for result in propagate(Carrier(), Clip(6), prompts)
        for each in signs_of(result)
    }
    assert len(found) == 12
    assert found[0, 1][:6] == (0, 1, True, True, 16, 1.0)
    between = found[3, 1]
    assert (between.given, between.present, between.distance) == (False, True, 1)
    assert between.disagreement == pytest.approx(1 - 12 / 20)
    assert 0.5 < between.confidence < 1
    assert between.area == int((list(propagate(Carrier(), Clip(6), prompts))[3].id_map == 1).sum())
    assert found[5, 300].disagreement is None
    assert found[5, 300].distance == 5


def test_an_object_without_a_pixel_is_absent() -> None:
    result = FrameResult(3, np.zeros((2, 2), np.uint8), (1, 7), {1: 0.0, 7: 0.0})
    assert [(each.present, each.area, each.distance) for each in signs_of(result)] == [
        (False, 0, None)
    ] * 2


def test_doubt_grows_with_each_sign_and_is_none_where_a_mask_is_given() -> None:
    sure = Sign(5, 1, False, True, 9, 0.95, 0.1, 3)
    for worse in ({"confidence": 0.7}, {"disagreement": 0.5}, {"distance": 30}):
        assert sure.doubt < sure._replace(**worse).doubt <= 1
    assert sure._replace(given=True).doubt == 0


def test_the_middle_of_what_is_in_doubt_is_suggested() -> None:
    signs = [sign(frame, given=frame in (0, 40)) for frame in range(60)]
    signs[10:20] = [sign(frame, confidence=0.7) for frame in range(10, 20)]
    signs[55] = sign(55, confidence=0.7)
    first, second = suggest_frames(signs, 2)
    assert first.frame in (14, 15)
    assert second.frame == 55  # the doubt around the first counts as mended
    assert suggest_frames(reversed(signs), 2) == [first, second]


def test_doubt_beyond_a_key_frame_counts_nothing() -> None:
    """A correction there is the key frame's own matter."""
    signs = [sign(frame, confidence=0.6 if frame > 11 else 0.9) for frame in range(20)]
    open_gap = suggest_frames(signs)[0].frame
    signs[11] = sign(11, given=True)
    assert suggest_frames(signs)[0].frame > 11
    signs[12:] = [sign(frame, given=True) for frame in range(12, 20)]
    assert suggest_frames(signs)[0].frame < open_gap


def test_the_object_in_most_doubt_is_named_and_key_frames_are_never_suggested() -> None:
    signs = [sign(frame, other=1, given=frame == 2) for frame in range(4)]
    signs += [sign(frame, other=2, confidence=0.6) for frame in range(4)]
    assert suggest_frames(signs)[0].object == 2
    assert suggest_frames([sign(0, given=True), sign(1, given=True)], 3) == []
    assert suggest_frames([]) == []


@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_reports_hold_what_they_were_given(suffix: str, tmp_path: Path) -> None:
    results = list(propagate(Carrier(), Clip(6), {0: {1: box(2, 1)}, 4: {2: box(2, 2)}}))
    path = tmp_path / "new" / f"report{suffix}"
    with writing_signs(path) as add:
        for result in results:
            add(result)
    assert list(read_signs(path)) == [each for result in results for each in signs_of(result)]
    before = path.read_bytes()
    with pytest.raises(RuntimeError), writing_signs(path) as add:  # noqa: PT012
        add(results[0])
        raise RuntimeError
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
    with writing_signs(path):
        pass
    assert list(read_signs(path)) == []


def test_reports_of_other_kinds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(HS2SError, match=r"\.csv or \.json"), writing_signs(tmp_path / "a.txt"):
        pass


def test_a_session_suggests_what_to_correct(tmp_path: Path) -> None:
    with Session(tmp_path / "s", Carrier()) as session:
        with pytest.raises(HS2SError, match="run the session first"):
            session.suggest()
        session.correct(Prompts.of({0: {1: box(2, 1)}}))
        results = [step.result for step in session.run(Clip(30)) if step.result is not None]
        signs = [each for result in results for each in signs_of(result)]
        assert list(session.signs()) == signs
    with Session(tmp_path / "s", Carrier()) as session:
        assert session.suggest(2) == suggest_frames(signs, 2)
        session.correct(Prompts.of({7: {1: box(2, 1)}}))
        with pytest.raises(HS2SError, match="run the session first"):
            session.suggest()
