"""The panel "Review by length" in a real browser: an evaluation, and the way to failing frames."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import fiftyone as fo
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Locator, Page, expect

from hs2s_core.media.encode import VideoWriter
from hs2s_fiftyone.evaluation import evaluate
from hs2s_fiftyone.labels.conversion import TrackedObject, to_detections

from .browser import (
    AGAIN,
    BRIEF,
    evaluate_in_form,
    keep,
    open_dataset,
    pick,
    picture_wanted,
    soon,
    wait_until,
)
from .plots import click_cell, click_point, select_right_of, traces

LENGTHS = (8, 12, 18, 25, 33, 42, 53, 60, 66, 78)
SIZE = (108, 192)
"""(H, W) of the videos."""
STEP = 2
"""Pixels by which the bar at the bottom of a video grows with every frame."""
BAR = 8
"""Length of the bar before the first frame: a shorter one blurs when the video is encoded."""
YELLOW = (250, 220, 0)
KEYS = ("eval_first", "eval_second")


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[fo.Dataset]:
    """Two videos that nobody has evaluated."""
    yield from make_dataset(tmp_path, LENGTHS[:2])


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[fo.Dataset]:
    """Videos in which two models lose their objects with time, evaluated."""
    for dataset in make_dataset(tmp_path_factory.mktemp("evaluated"), LENGTHS):
        for key in KEYS:
            evaluate(dataset, key.removeprefix("eval_"), "truth", key)
        yield dataset


@pytest.fixture
def drifting(evaluated: fo.Dataset, tmp_path: Path) -> Iterator[fo.Dataset]:
    """A copy of them: the App opens a dataset with the panels and the view it was left with."""
    dataset = evaluated.clone(tmp_path.name, persistent=True)
    yield dataset
    dataset.delete()


def make_dataset(folder: Path, lengths: tuple[int, ...]) -> Iterator[fo.Dataset]:
    """Videos with true masks and those of two models; deleted in the end.

    Each has a name of its own: the App opens a dataset with the panels it was left with.
    """
    dataset = fo.Dataset(folder.name, persistent=True)
    noise = np.random.default_rng(3)
    dataset.add_samples(
        [make_sample(folder, place, frames, noise) for place, frames in enumerate(lengths)]
    )
    yield dataset
    dataset.delete()


def make_sample(folder: Path, place: int, frames: int, noise: np.random.Generator) -> fo.Sample:
    """A disc, and a square in every second video; a yellow bar says which frame it is."""
    path = folder / f"clip-{place + 1:02}.mp4"
    drift = noise.uniform(0.1, 0.6)
    count = 1 + place % 2
    objects = {
        key: TrackedObject(key, key, ("disc", "square")[key - 1], fo.Instance())
        for key in range(1, count + 1)
    }
    sample = fo.Sample(
        filepath=str(path),
        metadata=fo.VideoMetadata(
            frame_width=SIZE[1], frame_height=SIZE[0], frame_rate=10, total_frame_count=frames
        ),
        shows=("a disc", "a disc and a square")[count - 1],
    )
    with VideoWriter(path, SIZE, 10) as writer:
        for index in range(frames):
            truth = id_map(index, count, 0)
            image = np.full((*SIZE, 3), (40, 70, 80), np.uint8)
            image[truth == 1] = (200, 200, 210)
            image[truth == 2] = (170, 110, 90)
            image[-10:, : BAR + STEP * (index + 1)] = YELLOW
            writer.write(image)
            wobble = noise.uniform(0.8, 1.2, 2)
            sample.frames[index + 1] = fo.Frame(
                truth=to_detections(truth, objects),
                first=to_detections(id_map(index, count, drift * index * wobble[0]), objects),
                second=to_detections(id_map(index, count, drift / 2 * index * wobble[1]), objects),
            )
    return sample


def id_map(index: int, count: int, shift: float) -> np.ndarray:
    """(H, W) uint8 of a frame; predictions are ``shift`` pixels off."""
    image = np.zeros(SIZE, np.uint8)
    x = round(30 + 1.4 * index + shift)
    cv2.circle(image, (x, 32), 18, 1, -1)
    if count > 1:
        top, left = 60, round(150 - 1.2 * index - shift)
        image[top : top + 28, max(0, left) : max(0, left + 28)] = 2
    return image


def test_it_offers_what_is_missing(app: str, page: Page, plain: fo.Dataset) -> None:
    open_panel(page, app, plain.name)
    expect(page.get_by_text("Nothing has been evaluated yet")).to_be_visible()
    page.get_by_role("button", name="Evaluate masks").last.click()
    evaluate_in_form(page, "first")
    wait_until(lambda: rows(page) == 2, "the panel does not show the evaluation")
    plain.reload()
    assert plain.list_evaluations() == ["eval_first"]


def test_from_a_cell_and_a_dot_to_the_frames(
    app: str, page: Page, drifting: fo.Dataset, tmp_path: Path
) -> None:
    if picture_wanted():
        page.set_viewport_size({"width": 1700, "height": 1400})
    open_panel(page, app, drifting.name)
    choose(page, "Evaluation", KEYS[0])
    choose(page, "Compare with", KEYS[1])
    wait_until(lambda: len(traces(page, "heatmap")) == 2, "the second heat map does not appear")
    assert [len(trace["y"]) for trace in traces(page, "heatmap")] == [len(LENGTHS)] * 2
    expect(page.get_by_role("row").filter(has_text=KEYS[1])).to_be_visible()
    keep(page, tmp_path, "length-review.png")

    # A cell opens its stretch of the video, at its first frame.
    row, column = traces(page, "heatmap")[0]["y"].index("clip-10"), 20
    first_time = 1 + 2 * column  # 77 times in 60 columns are two a column
    try:
        click_cell(page, row, column, lambda: shown_frame(page) == first_time + 1)
    finally:
        keep(page, tmp_path, "length-review-clip.png")
    close_sample(page)
    expect(entries(page)).to_have_text(re.compile("^1 clip"))

    # A dot opens its video, from the start, though the view is a clip of another one.
    try:
        click_dot(page, LENGTHS.index(53))
    finally:
        keep(page, tmp_path, "length-review-video.png")
    close_sample(page)
    expect(entries(page)).to_have_text(re.compile(f"^{len(LENGTHS)} "))


def test_a_dot_opens_a_video_that_the_sidebar_hides(
    app: str, page: Page, drifting: fo.Dataset
) -> None:
    open_panel(page, app, drifting.name)
    wait_until(lambda: rows(page) == len(LENGTHS), "the panel does not show the evaluation")
    page.locator("[data-cy=sidebar-field-arrow-enabled-shows]").click()
    search = page.locator("[data-cy=selector-sidebar-search-shows]")
    found = page.locator("[data-cy=selector-results-container-sidebar-search-shows]")
    option = found.get_by_text("a disc", exact=True)
    half = re.compile(f"^{len(LENGTHS) // 2} ")

    def filtered() -> bool:
        # A click is lost on a list that is drawn anew at that moment.
        try:
            if not half.match(entries(page).inner_text()):
                if not option.count():
                    search.click(timeout=1000 * BRIEF)
                option.click(timeout=1000 * BRIEF)
            expect(entries(page)).to_have_text(half, timeout=1000 * AGAIN)
        except (PlaywrightError, AssertionError):
            return False
        return True

    wait_until(filtered, "the sidebar does not filter")

    click_dot(page, LENGTHS.index(25))  # has a square
    close_sample(page)
    expect(entries(page)).to_have_text(re.compile(f"^{len(LENGTHS)} "))


def test_filters_and_selections(app: str, page: Page, drifting: fo.Dataset) -> None:
    open_panel(page, app, drifting.name)
    wait_until(lambda: rows(page) == len(LENGTHS), "the panel does not show the evaluation")
    categories = page.get_by_placeholder("Type and press enter to add a value")
    chips = page.locator(".MuiChip-label").get_by_text("square", exact=True)
    pick(page, categories, "square", lambda: chips.count() > 0)
    wait_until(lambda: rows(page) == len(LENGTHS) // 2, "the category does not filter")

    def unfiltered() -> bool:
        # The form of a server that answers late shows the category again.
        if chips.count():
            categories.press("Backspace")
        return soon(lambda: rows(page) == len(LENGTHS), BRIEF)

    wait_until(unfiltered, "the filter does not go away")

    # What a box selects becomes the view: here the long videos.
    select_right_of(page, 50)
    longer = sum(length > 50 for length in LENGTHS)
    expect(entries(page)).to_have_text(re.compile(f"^{longer} "))


def open_panel(page: Page, app: str, dataset: str) -> None:
    open_dataset(page, app, dataset)
    page.locator("[data-cy=new-panel-btn]").first.click()
    page.locator("[data-cy=new-panel-option-length_review]").click()


def choose(page: Page, label: str, value: str) -> None:
    """Set one of the panel's dropdowns."""
    header = page.get_by_text(label, exact=True).last
    box = header.locator("xpath=following::*[@role='combobox'][1]")
    pick(page, box, value, lambda: box.inner_text() == value)


def click_dot(page: Page, place: int) -> None:
    """Click a dot of the first evaluation, which opens its video at the first frame."""
    chosen = traces(page, "scatter")[0]["ids"][place]

    def opened() -> bool:  # ``page.url`` is that of the last event that was waited for
        return f"id={chosen}" in page.evaluate("location.href") and shown_frame(page) == 1

    click_point(page, place, opened)


def rows(page: Page) -> int:
    """Videos in the heat map; 0 while there is none."""
    return len(next(iter(traces(page, "heatmap")), {"y": ()})["y"])


def entries(page: Page) -> Locator:
    """How much the App says that the view holds."""
    return page.locator("[data-cy=entry-counts]")


def shown_frame(page: Page) -> int | None:
    """Number of the frame in the open sample, from the length of its bar; None while it loads."""
    canvas = page.locator("#modal canvas[canvas-loaded=true]")
    if not canvas.count():
        return None
    image = np.asarray(Image.open(io.BytesIO(canvas.first.screenshot())).convert("RGB"), np.int16)
    yellow = (np.abs(image - np.array(YELLOW)) < 60).all(axis=2)
    bar = int(yellow.sum(axis=1).max())
    return round((bar / image.shape[1] * SIZE[1] - BAR) / STEP) if bar else None


def close_sample(page: Page) -> None:
    """By a click beside it, which the App may lose while the sample opens."""

    def closed() -> bool:
        page.mouse.click(6, 500)
        try:
            expect(page.locator("#modal.modalon")).to_have_count(0, timeout=1000 * AGAIN)
        except AssertionError:
            return False
        return True

    wait_until(closed, "the sample does not close")
