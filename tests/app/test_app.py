"""A user's way through the App, in a real browser: form, run, masks on the video."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from hs2s_core.resources import asset
from hs2s_fiftyone.loading import dataset as vos

from .browser import AGAIN, keep, open_dataset, open_form, open_sample, picture, wait_until

EXECUTE = "Execute"


@pytest.fixture(scope="module")
def demo() -> Iterator[fo.Dataset]:
    """The demo clip, of whose labels only those of the first frame remain, as prompts."""
    dataset = vos.load(asset("demo"), "demo", label_field="prompt")
    for sample in dataset:
        for number, frame in sample.frames.items():
            if number > 1:
                frame.prompt = None
        sample.save()
    dataset.persistent = True  # or it would vanish with the first process that lets go of it
    yield dataset
    dataset.delete()


@pytest.mark.usefixtures("demo")
def test_masks_are_propagated_by_the_form(app: str, page: Page, tmp_path: Path) -> None:
    open_dataset(page, app, "demo")

    form = open_form(page, "Propagate masks")
    execute = form.get_by_role("button", name=EXECUTE)
    expect(execute).to_be_enabled()
    expect(form.get_by_text("1 video to propagate")).to_be_visible()
    # What would go wrong is said before anything runs.
    output = form.locator("input[type=string], input[type=text]").last
    output.fill("prompt")
    expect(form.get_by_text("must differ from the prompt field").first).to_be_visible()
    expect(execute).to_be_disabled()
    output.fill("masks")
    expect(form.get_by_text("must differ from the prompt field")).to_have_count(0)
    expect(execute).to_be_enabled()
    page.screenshot(path=str(tmp_path / "app-form.png"))
    execute.click()

    expect(page.get_by_text("Videos propagated")).to_be_visible()
    dataset = fo.load_dataset("demo")
    dataset.reload()
    assert dataset.values("masks_status") == ["done"]
    page.get_by_role("button", name="Done").last.click()
    # The App has noticed the new field.
    expect(page.get_by_text("frames.masks", exact=True).first).to_be_visible()

    open_video(page)
    step_frames(page, 9)
    try:
        wait_until(lambda: has_overlay(page), "the masks do not appear on the video")
    finally:
        keep(page, tmp_path, "app-propagate.png")


def open_video(page: Page) -> None:
    open_sample(page)
    page.wait_for_selector("#modal canvas[canvas-loaded=true]", state="attached")


def step_frames(page: Page, count: int) -> None:
    for _ in range(count):
        page.keyboard.press(".")
        page.wait_for_timeout(100)


def has_overlay(page: Page) -> bool:
    """Whether the picture changes when overlays are hidden (Shift is held), and changes back."""
    shown = picture(page)
    page.keyboard.down("Shift")
    hidden = becomes(page, lambda now: change(shown, now) > 0.002)
    page.keyboard.up("Shift")
    return hidden and becomes(page, lambda now: change(shown, now) < 0.002)


def becomes(page: Page, so: Callable[[np.ndarray], bool]) -> bool:
    """Whether the picture is ``so`` before long."""
    deadline = time.monotonic() + AGAIN
    while not so(picture(page)):
        if time.monotonic() > deadline:
            return False
    return True


def change(one: np.ndarray, other: np.ndarray) -> float:
    """Share of the picture's pixels that differ."""
    return float((np.abs(one - other).max(axis=2) > 20).mean())
