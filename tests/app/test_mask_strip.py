"""The panel "Masks over time" beside an open video: a click on a frame shows it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fiftyone as fo
import pytest
from playwright.sync_api import Locator, Page, expect

import hs2s_fiftyone
from hs2s_core.resources import asset
from hs2s_fiftyone.loading import dataset as vos

from .browser import AGAIN, act_until, keep, open_dataset, open_sample, wait_until
from .plots import click_point, traces

RATE = 6
"""Frames per second of the demo clip as it is loaded."""


@pytest.fixture
def clip() -> Iterator[fo.Dataset]:
    """The demo clip, propagated from its first frame."""
    dataset = vos.load(asset("demo"), "strip", persistent=True)
    hs2s_fiftyone.propagate(dataset, "ground_truth")
    yield dataset
    dataset.delete()


def test_a_click_shows_the_frame(app: str, page: Page, clip: fo.Dataset, tmp_path: Path) -> None:
    open_dataset(page, app, clip.name)
    open_sample(page)
    modal = page.locator("#modal")
    place = modal.get_by_role("button", name="Showing")
    expect(place).to_contain_text("0:00.00 /")
    (suggested,) = hs2s_fiftyone.suggest_frames(clip)

    def go_from_the_tab() -> None:
        modal.get_by_text("Masks over time", exact=True).click(timeout=1000 * AGAIN)
        modal.get_by_role("button", name="Go to suggested frame").click(timeout=1000 * AGAIN)

    act_until(  # over the video, where it opens, it makes room for it
        lambda: place.is_visible() and there(place, suggested.frame_number - 1),
        go_from_the_tab,
        "the tab does not give way to the suggested frame",
    )
    modal.get_by_text("Masks over time", exact=True).click()
    modal.get_by_title("Split vertically").first.click()
    wait_until(lambda: bool(traces(page, "scatter")), "the strip does not appear")
    drawn = traces(page, "scatter")
    frame = lowest(drawn, suggested.frame_number - 1)
    click_point(page, frame, lambda: there(place, frame))
    expect(modal.get_by_text(re.compile(f"Chosen: frame {frame + 1} "))).to_be_visible()
    act_until(
        lambda: there(place, suggested.frame_number - 1),
        modal.get_by_role("button", name="Go to suggested frame").click,
        "the player does not go to the suggested frame",
    )
    keep(page, tmp_path, "correct-4-strip.webp")
    # And where it is to be mended, another player begins there.
    modal.locator("[data-cy=annotate]").click()
    modal.locator("[data-cy=segmentation-mode]").wait_for()
    wait_until(
        lambda: there(place, suggested.frame_number - 1), "Annotate does not begin at the frame"
    )


def lowest(drawn: list[dict[str, Any]], but: int) -> int:
    """Where, but in a frame, the first line has a point that is lower than all others' there."""
    line, others = drawn[0]["y"], [trace["y"] for trace in drawn[1:3]]
    shown = [p for p, values in enumerate(zip(line, *others, strict=True)) if None not in values]
    below = {p: min(each[p] for each in others) - line[p] for p in shown[1:] if p != but}
    return max(below, key=lambda place: below[place])


def there(place: Locator, frame: int) -> bool:
    """Whether the player shows the time of a frame."""
    return f"0:{int(frame / RATE * 100) / 100:05.2f} /" in place.inner_text()
