"""The panel "Review by length" in a real browser: from nothing evaluated to the failing frame."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import fiftyone as fo
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from hs2s_core.media.encode import VideoWriter
from hs2s_fiftyone.evaluation import evaluate
from hs2s_fiftyone.labels import TrackedObject, to_detections

from .browser import keep, open_dataset, wait_until

NAME = "drifting"
LENGTHS = (8, 12, 15, 18, 22, 25, 28, 33, 38, 42, 47, 53, 60, 66, 72, 78)
SIZE = (108, 192)
"""(H, W) of the videos."""
STEP = 2
"""Pixels by which the bar at the bottom of a video grows with every frame."""
YELLOW = (250, 220, 0)

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[fo.Dataset]:
    """Videos with true masks, and with masks of two models that lose their objects with time."""
    folder = tmp_path_factory.mktemp("drifting")
    dataset = fo.Dataset(NAME, persistent=True)
    noise = np.random.default_rng(3)
    dataset.add_samples(
        [make_sample(folder, place, frames, noise) for place, frames in enumerate(LENGTHS)]
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
    )
    with VideoWriter(path, SIZE, 10) as writer:
        for index in range(frames):
            truth = id_map(index, count, 0)
            image = np.full((*SIZE, 3), (40, 70, 80), np.uint8)
            image[truth == 1] = (200, 200, 210)
            image[truth == 2] = (170, 110, 90)
            image[-10:, : STEP * (index + 1)] = YELLOW
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


def test_from_nothing_to_the_failing_frame(
    app: str, page: Page, videos: fo.Dataset, tmp_path: Path
) -> None:
    page.set_viewport_size({"width": 1700, "height": 1400})
    open_dataset(page, app, NAME)
    page.locator("[data-cy=new-panel-btn]").first.click()
    page.locator("[data-cy=new-panel-option-length_review]").click()

    # It explains itself and offers what is missing; its own form brings the plots.
    expect(page.get_by_text("Nothing has been evaluated yet")).to_be_visible()
    evaluate_in_form(page, "first")
    expect(plot(page, "heatmap")).to_be_visible()
    evaluate(videos, "second", "truth", "eval_second")
    page.get_by_role("button", name="Reload").click()
    choose(page, "Evaluation", "eval_first")
    choose(page, "Compare with", "eval_second")
    wait_until(lambda: len(traces(page, "heatmap")) == 2, "the second heat map does not appear")
    assert [len(trace["y"]) for trace in traces(page, "heatmap")] == [len(LENGTHS)] * 2
    expect(page.get_by_role("row").filter(has_text="eval_second")).to_be_visible()
    page.get_by_text("Compare with").scroll_into_view_if_needed()
    page.wait_for_timeout(1000)
    keep(page, tmp_path, "length-review.png")

    # Filters come and go.
    categories = page.get_by_placeholder("Type and press enter to add a value")
    categories.click()
    page.get_by_role("option", name="square", exact=True).click()
    wait_until(lambda: rows(page) == len(LENGTHS) // 2, "the category does not filter")
    categories.press("Backspace")
    wait_until(lambda: rows(page) == len(LENGTHS), "the filter does not go away")

    # A cell opens its stretch of the video, at its first frame.
    heat = traces(page, "heatmap")[0]
    row, column = heat["y"].index("clip-16"), 20
    first_time = 1 + 2 * column  # 77 times in 60 columns are two a column
    click_cell(page, row, column)
    try:
        wait_until(lambda: shown_frame(page) == first_time + 1, "not the frame of the cell")
    finally:
        keep(page, tmp_path, "length-review-clip.png")
    close_sample(page)
    expect(page.locator("[data-cy=entry-counts]")).to_have_text(re.compile("^1 clip"))

    # A dot opens its video, from the start, though the view is a clip of another one.
    chosen = click_dot(page, LENGTHS.index(53))
    wait_until(lambda: chosen in page.url and shown_frame(page) == 1, "not the video of the dot")
    close_sample(page)
    expect(page.locator("[data-cy=entry-counts]")).to_have_text(re.compile(f"^{len(LENGTHS)} "))

    # What a box selects becomes the view: here the long videos.
    select_from(page, 50)
    longer = sum(length > 50 for length in LENGTHS)
    expect(page.locator("[data-cy=entry-counts]")).to_have_text(re.compile(f"^{longer} "))


def evaluate_in_form(page: Page, prediction: str) -> None:
    page.get_by_role("button", name="Evaluate masks").last.click()
    form = page.locator("[data-cy=operators-prompt-modal]")
    form.wait_for()
    expect(form.get_by_text(f"frames.{prediction}").first).to_be_visible()
    execute = form.get_by_role("button", name="Execute")
    expect(execute).to_be_enabled()
    execute.click()
    expect(page.get_by_text("Videos evaluated")).to_be_visible()
    page.get_by_role("button", name="Done").last.click()


def choose(page: Page, label: str, value: str) -> None:
    """Set one of the panel's dropdowns."""
    header = page.get_by_text(label, exact=True).last
    box = header.locator("xpath=following::*[@role='combobox'][1]")
    if box.inner_text() == value:
        return
    box.click()
    page.get_by_role("option", name=value, exact=True).click()
    expect(box).to_have_text(value)


def plot(page: Page, kind: str) -> Locator:
    """The plot whose first trace is of this kind."""
    places = {"scatter": 0, "bar": 1, "heatmap": 2}
    return page.locator(".js-plotly-plot").nth(places[kind])


def traces(page: Page, kind: str) -> list[dict[str, Any]]:
    """What Plotly draws."""
    shown = "g => g._fullData.map(d => ({type: d.type, x: [...d.x], y: [...d.y], ids: d.ids}))"
    found: list[dict[str, Any]] = plot(page, kind).evaluate(shown)
    return [trace for trace in found if trace["type"] == kind]


def rows(page: Page) -> int:
    """Videos in the heat map."""
    return len(traces(page, "heatmap")[0]["y"])


def click_cell(page: Page, row: int, column: int) -> None:
    """Click a cell of the first heat map."""
    click_at(page, "heatmap", column, row, "l.yaxis.r2p(y)")


def click_dot(page: Page, place: int) -> str:
    """Click a dot of the first evaluation; returns the id of its video."""
    click_at(page, "scatter", place, place, "l.yaxis.d2p(d.y[y])")
    return str(traces(page, "scatter")[0]["ids"][place])


def click_at(page: Page, kind: str, x: int, y: int, height: str) -> None:
    box = plot(page, kind)
    box.scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    across, down = box.evaluate(
        "(g, [x, y]) => {const l = g._fullLayout, d = g._fullData[0];"
        "const r = g.getBoundingClientRect();"
        "return [r.left + l.xaxis._offset + l.xaxis.d2p(d.x[x]),"
        f"r.top + l.yaxis._offset + {height}]}}",
        [x, y],
    )
    # Plotly has to notice the pointer before it takes a click.
    page.mouse.move(across - 2, down)
    page.mouse.move(across, down, steps=3)
    page.wait_for_timeout(700)
    page.mouse.click(across, down)


def select_from(page: Page, length: int) -> None:
    """Draw a box around all dots right of a length."""
    box = plot(page, "scatter")
    box.scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    left, top, right, bottom = box.evaluate(
        "(g, x) => {const l = g._fullLayout, r = g.getBoundingClientRect();"
        "const at = r.left + l.xaxis._offset, down = r.top + l.yaxis._offset;"
        "return [at + l.xaxis.d2p(x), down + 2, at + l.xaxis._length - 2,"
        "down + l.yaxis._length - 2]}",
        length,
    )
    page.mouse.move(left, top)
    page.mouse.down()
    page.mouse.move((left + right) / 2, (top + bottom) / 2, steps=5)
    page.mouse.move(right, bottom, steps=5)
    page.mouse.up()


def shown_frame(page: Page) -> int | None:
    """Number of the frame in the open sample, from the length of its bar; None while it loads."""
    canvas = page.locator("#modal canvas[canvas-loaded=true]")
    if not canvas.count():
        return None
    image = np.asarray(Image.open(io.BytesIO(canvas.first.screenshot())).convert("RGB"), np.int16)
    yellow = (np.abs(image - np.array(YELLOW)) < 60).all(axis=2)
    bar = int(yellow.sum(axis=1).max())
    return round(bar / image.shape[1] * SIZE[1] / STEP) or None


def close_sample(page: Page) -> None:
    page.mouse.click(6, 500)
    expect(page.locator("#modal.modalon")).to_have_count(0)
