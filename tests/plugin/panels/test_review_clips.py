"""What a click asks the App to open, event by event: no App, no dataset, a clock to be set."""

from __future__ import annotations

import pytest

from hs2s_fiftyone.panels.review_clips import AGAIN, PATIENCE, PAUSE, SETTLING, Opening, Target

VIDEO = Target("video")
CLIP = Target("video", (3, 20))


class Asked:
    """An opening, the time, and what the App's present view has: target -> id."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.opening = Opening(lambda: self.now)
        self.view = {VIDEO: "video", CLIP: "clip"}

    def due(self, current: str | None = None, *, after: float = 0.0) -> str | None:
        self.now += after
        return self.opening.due(self.view.get, current)


@pytest.fixture
def asked() -> Asked:
    return Asked()


def test_nothing_is_due_unless_it_was_wanted(asked: Asked) -> None:
    assert asked.due() is None
    asked.opening.want(VIDEO)
    asked.opening.forget()
    assert asked.due() is None


def test_the_last_target_is_due_once_its_view_has_come(asked: Asked) -> None:
    asked.opening.want(VIDEO)
    asked.opening.want(CLIP)
    view, asked.view = asked.view, {}
    assert asked.due() is None
    asked.view = view
    assert asked.due(after=PATIENCE - 1) == "clip"


def test_it_is_due_again_until_the_app_shows_it(asked: Asked) -> None:
    asked.opening.want(CLIP)
    assert asked.due() == "clip"
    assert asked.due(after=PAUSE / 2) is None  # another event of the same change
    assert asked.due(after=PAUSE) == "clip"
    assert asked.due("clip", after=PAUSE) is None
    # What closes so soon was closed by the page.
    asked.opening.notice(None)
    assert asked.due(after=PAUSE) == "clip"


@pytest.mark.parametrize("wait", [PATIENCE, AGAIN])
def test_it_expires(asked: Asked, wait: float) -> None:
    asked.opening.want(VIDEO)
    if wait == AGAIN:
        assert asked.due() == "video"
    assert asked.due(after=wait + 1) is None
    asked.now -= wait
    assert asked.due() is None  # for good


def test_what_the_reader_does_ends_it(asked: Asked) -> None:
    asked.opening.want(CLIP)
    assert asked.due() == "clip"
    asked.opening.notice("clip")
    asked.now += SETTLING
    asked.opening.notice(None)  # closed
    assert asked.due(after=PAUSE) is None
    asked.opening.want(CLIP)
    asked.opening.notice("another")
    assert asked.due() is None
