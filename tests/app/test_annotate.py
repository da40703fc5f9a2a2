"""A mask painted with the brush in the App's Annotate tab, and followed through the video."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest
from fiftyone import ViewField
from PIL import Image
from playwright.sync_api import Page, expect

import hs2s_fiftyone
from hs2s_core.resources import asset
from hs2s_fiftyone.drawing import DRAWN
from hs2s_fiftyone.labels.prompts import read_prompts
from hs2s_fiftyone.loading import dataset as vos
from hs2s_fiftyone.media import mask_sizes
from hs2s_fiftyone.operators.prepare_drawing import PrepareDrawing
from hs2s_fiftyone.propagation import DEFAULT_OUTPUT

from ..plugin.forms import context
from ..plugin.helpers import frame_masks
from .browser import (
    BRIEF,
    act_until,
    keep,
    open_dataset,
    open_form,
    open_sample,
    pick,
    picture,
    wait_until,
)

MENDED = 10
"""Frame in which a mask is mended."""

_NUMBERS = itertools.count()


@pytest.fixture
def clip() -> Iterator[fo.Dataset]:
    """The demo clip as a load leaves it, ready for drawing.

    A name for each test: the server may still know the dataset that had it before.
    """
    dataset = vos.load(asset("demo"), f"drawing{next(_NUMBERS)}", persistent=True)
    yield dataset
    dataset.delete()


def test_a_painted_mask_is_propagated(
    app: str, page: Page, clip: fo.Dataset, tmp_path: Path
) -> None:
    truths = largest_object(clip)
    truth = truths[1]
    clip.delete_frame_field("ground_truth")  # as of one's own video
    PrepareDrawing().execute(context(clip))  # so the field of the result is there, too
    open_dataset(page, app, clip.name)
    open_sample(page)
    bare = coarse(page)
    page.locator("#modal [data-cy=annotate]").click()
    page.locator("#modal [data-cy=segmentation-mode]").click()
    page.locator("#modal [data-cy=brush]").first.click()
    keep(page, tmp_path, "draw-1-brush.png")
    act_until(
        lambda: covered(clip, truth) > 0.5,
        lambda: paint(page, truth),
        "the painted mask does not reach the database",
    )
    name_it(page, "player")
    wait_until(lambda: labels(clip, DRAWN) == {"player"}, "the class does not reach the database")
    keep(page, tmp_path, "draw-2-mask.png")

    assert covered(clip, truth) > 0.5, "most of the object was painted"
    drawn = painted(clip)
    assert drawn is not None
    assert drawn[~truth].mean() < 0.02, "little else was"

    # As long as a label is edited, the key of the operator browser does nothing.
    page.locator("#modal [data-cy=annotate-edit-back]").click()
    propagate(page, tmp_path)
    # The video stays open, and shows the new masks instead of what was drawn.
    shown = {f"checkbox-frames.{DEFAULT_OUTPUT}"}
    wait_until(lambda: ticked(page) == shown, "the open video does not show the result alone")
    expect(page.locator("#modal [data-cy=segmentation-mode]")).to_have_count(0)
    wait_until(
        lambda: (np.abs(coarse(page) - bare).max(-1) > 25).mean() > 0.02,
        "the first frame does not show the new mask",
    )
    clip.reload()
    assert clip.values("hs2s_status") == ["done"]
    sample = clip.first()
    assert labels(clip, "hs2s") == {"player"}
    size = mask_sizes(clip, sample.id).video
    overlaps = []
    for number in range(2, 7):
        (found,) = frame_masks(sample.frames[number].hs2s, size).values()
        overlaps.append(overlap(found, truths[number]))
    assert np.mean(overlaps) > 0.4, overlaps


def test_a_mended_mask_is_followed_by_two_clicks(
    app: str, page: Page, clip: fo.Dataset, tmp_path: Path
) -> None:
    """The player has no head; it is painted in one frame, and found in the next.

    So is a mark below him, just before the button is pressed.
    """
    one = clip.filter_labels("frames.ground_truth", ViewField("label") == "player")
    hs2s_fiftyone.propagate(one, "ground_truth")
    before = shown(clip, MENDED + 1)
    head = np.zeros_like(before)
    head[51:65, 78:91] = True  # of which the truth that is given says nothing

    open_dataset(page, app, clip.name)
    open_sample(page)
    step_to(page, MENDED)
    page.locator("#modal [data-cy=annotate]").click()
    page.wait_for_selector("#modal [data-cy=segmentation-mode]")
    wait_until(lambda: is_at(page, MENDED), "the Annotate tab does not begin at the frame")
    page.locator("#modal").get_by_text("player", exact=True).first.click()
    page.locator("#modal [data-cy=brush]").first.click()
    act_until(
        lambda: shown(clip, MENDED)[head].mean() > 0.4,
        lambda: paint(page, head),
        "the mended mask does not arrive",
    )
    keep(page, tmp_path, "correct-1-mended.webp")
    mended = shown(clip, MENDED)
    foot = np.zeros_like(before)  # on the ground below
    foot[140:150, 60:76] = True
    around = np.zeros_like(before)
    around[130:, 50:86] = True
    paint(page, foot)

    # At once, before the App has saved what was painted last.
    page.locator("#modal").get_by_text("published_with_changes").click()
    expect(page.get_by_text("Masks changed in")).to_be_visible()
    assert shown(clip, MENDED)[foot].mean() > 0.4, "what was painted last is lost"
    keep(page, tmp_path, "correct-2-said.webp")
    page.get_by_role("button", name="Done").last.click()
    # Back among the new masks: the Annotate tab has read the old ones.
    expect(page.locator("#modal [data-cy=segmentation-mode]")).to_have_count(0)
    wait_until(lambda: is_at(page, MENDED), "the player does not come back to the mended frame")
    step_to(page, MENDED + 1)
    keep(page, tmp_path, "correct-3-followed.webp")

    same = shown(clip, MENDED) == mended
    assert same[~around].all(), "a person's mask was changed"
    found = shown(clip, MENDED + 1)
    assert top(found) < top(before) - 3, "the head is followed"
    assert overlap(found, before) > 0.7, "what was right stays"
    assert clip.count_values("frames.hs2s.detections.corrected")[True] == 1


def ticked(page: Page) -> set[str | None]:
    """The boxes of the frame fields that the open video shows."""
    boxes = page.locator("#modal [data-cy^='checkbox-frames.']").all()
    return {
        box.get_attribute("data-cy") for box in boxes if box.get_by_role("checkbox").is_checked()
    }


def coarse(page: Page) -> np.ndarray:
    """The open video in so few pixels (H, W, 3) that neither lines count nor a shift by a few."""
    shown = Image.fromarray(picture(page).astype(np.uint8))
    return np.asarray(shown.resize((48, 32), Image.Resampling.BOX)).astype(np.int16)


def is_at(page: Page, number: int) -> bool:
    """Whether the open video shows a frame."""
    return abs(seconds_to(page, number)) < 0.005


def seconds_to(page: Page, number: int) -> float:
    """How far a frame of the open video is from the one that it shows, at six a second."""
    place = page.locator("#modal").get_by_role("button", name="Showing")
    minutes, seconds = place.inner_text().split(" /")[0].split(":")
    target = int((number - 1) / 6 * 100) / 100  # as the player rounds
    return target - 60 * int(minutes) - float(seconds)


def step_to(page: Page, number: int) -> None:
    """Go to a frame of the open video, whose player may lose a click or follow it late."""

    def there() -> bool:
        if is_at(page, number):
            return True
        step = "Step forward" if seconds_to(page, number) > 0 else "Step backward"
        page.locator("#modal").get_by_role("button", name=step).click()
        page.wait_for_timeout(500)
        return False

    wait_until(there, f"the player does not go to frame {number}")


def shown(clip: fo.Dataset, number: int) -> np.ndarray:
    """What the result shows of the only object in a frame, (H, W)."""
    clip.reload()
    sample = clip.first()
    size = mask_sizes(clip, sample.id).video
    (mask,) = frame_masks(sample.frames[number].hs2s, size).values()
    return mask


def labels(clip: fo.Dataset, field: str) -> set[str]:
    """The classes in a frame field."""
    return set(clip.distinct(f"frames.{field}.detections.label"))


def top(mask: np.ndarray) -> int:
    """The first row of a mask (H, W)."""
    return int(np.flatnonzero(mask.any(axis=1))[0])


def overlap(found: np.ndarray, true: np.ndarray) -> float:
    return float((found & true).sum() / (found | true).sum())


def largest_object(clip: fo.Dataset) -> dict[int, np.ndarray]:
    """True masks (H, W) by frame of the object that covers most of frame 1."""
    sample = clip.first()
    size = mask_sizes(clip, sample.id).video
    masks = {
        number: frame_masks(sample.frames[number].ground_truth, size) for number in range(1, 7)
    }
    found = max(masks[1], key=lambda key: masks[1][key].sum())
    return {number: shown[found] for number, shown in masks.items()}


def paint(page: Page, mask: np.ndarray) -> None:
    """Move the brush over the rows of a mask (H, W), as a hand would."""
    box = video_box(page, mask.shape[1] / mask.shape[0])
    scale = box["width"] / mask.shape[1]
    rows = np.flatnonzero(mask.any(axis=1))
    # The brush is 16 pixels of the screen wide; its path keeps from the edge. It draws lines
    # between the places that it is told of, of which there are few: each is drawn in software.
    step = max(1, round(12 / scale))
    path = []
    for place, row in enumerate(rows[step::step]):
        columns = np.flatnonzero(mask[row])
        ends = [columns[0] + step, columns[-1] - step + 1]
        if ends[0] > ends[1]:
            ends = [float(columns.mean())] * 2
        path += [(x, row) for x in (ends if place % 2 else ends[::-1])]
    # As Python's own numbers: with NumPy's the browser never answers.
    points = [
        (float(box["x"] + (x + 0.5) * scale), float(box["y"] + (y + 0.5) * scale)) for x, y in path
    ]
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point)
    page.mouse.up()
    expect(page.locator("#modal [data-cy=annotate-mask-preview]")).to_be_visible()


def name_it(page: Page, label: str) -> None:
    """Give the label that is edited a class."""
    box = page.locator("#modal [data-cy=root_label_container]").get_by_role("combobox")
    pick(page, box, label, lambda: box.input_value() == label)


def video_box(page: Page, aspect: float) -> dict[str, float]:
    """Where the video lies on the page: in the middle of its canvas, as large as fits."""
    canvases = page.locator("#modal canvas")
    canvases.first.wait_for(timeout=1000 * BRIEF)  # the tab may draw the video anew just then
    boxes = [found.bounding_box() for found in canvases.all()]
    canvas = max((box for box in boxes if box), key=lambda box: box["width"] * box["height"])
    width = min(canvas["width"], canvas["height"] * aspect)
    height = width / aspect
    return {
        "x": canvas["x"] + (canvas["width"] - width) / 2,
        "y": canvas["y"] + (canvas["height"] - height) / 2,
        "width": width,
        "height": height,
    }


def painted(clip: fo.Dataset) -> np.ndarray | None:
    """The mask (H, W) that the database holds of what was drawn, None without one."""
    clip.reload()
    sample = clip.first()
    size = mask_sizes(clip, sample.id).video
    masks = read_prompts(sample, DRAWN, size).masks
    return next(iter(masks[0].values())) if masks else None


def covered(clip: fo.Dataset, truth: np.ndarray) -> float:
    """What share of the object (H, W) was painted, as the database has it."""
    drawn = painted(clip)
    return 0.0 if drawn is None else float(drawn[truth].mean())


def propagate(page: Page, folder: Path) -> None:
    """Run the form as it opens: it proposes what was drawn."""
    form = open_form(page, "Propagate masks")
    expect(form.get_by_text(f"frames.{DRAWN}").first).to_be_visible()
    execute = form.get_by_role("button", name="Execute")
    expect(execute).to_be_enabled()
    keep(page, folder, "draw-3-form.png")
    execute.click()
    expect(page.get_by_text("Videos propagated")).to_be_visible()
    page.get_by_role("button", name="Done").last.click()
