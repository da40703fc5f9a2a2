"""What tests of the App share: where things are on the page, and waiting for them."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Locator, Page, expect

SHOT = "HS2S_KEEP_SCREENSHOTS"
"""Environment variable with the folder for the README's pictures."""
PATIENCE = 400.0
"""Seconds: the server and its first form import FiftyOne and PyTorch, which has taken two minutes
on a machine with ten other processes. What is there sooner is not waited for.
"""

BRIEF = 5.0
"""Seconds for what is tried again."""
AGAIN = 20.0
"""Seconds for what is tried again where a second try undoes a first that comes late."""


def open_dataset(page: Page, app: str, name: str) -> None:
    """Go to a dataset of the App at address ``app``."""
    page.goto(f"{app}/datasets/{name}", wait_until="domcontentloaded")
    page.wait_for_selector("[data-cy=entry-counts]")


def open_sample(page: Page) -> None:
    """Open the first sample; a grid that stays empty while a busy server loads is reloaded."""
    sample = page.locator("[data-cy=looker]").first

    def opened() -> bool:
        try:
            sample.wait_for(timeout=1000 * AGAIN)
        except PlaywrightError:
            page.reload(wait_until="domcontentloaded")
            return False
        sample.click()
        return True

    wait_until(opened, "the grid shows no sample")


def wait_until(condition: Callable[[], bool], failure: str) -> None:
    """Ask until it is so; in between, the machine is the browser's and the server's."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, failure
        time.sleep(0.2)


def soon(condition: Callable[[], bool], seconds: float = AGAIN) -> bool:
    """Whether it is so within the time after which one tries again."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def act_until(answered: Callable[[], bool], act: Callable[[], None], failure: str) -> None:
    """Do what a user does until it is answered: a click is lost on what is drawn anew just then.

    What cannot be done, because the late answer to an earlier try lies over it, need not be.
    """

    def done() -> bool:
        with suppress(PlaywrightError):
            act()
        return soon(answered)

    wait_until(done, failure)


def open_form(page: Page, title: str) -> Locator:
    """Find an operator as users do, in the operator browser; its form."""
    search = page.locator("[data-cy=operators-browser-search]")

    def opened() -> bool:
        page.keyboard.press("`")  # is lost until the App listens
        try:
            search.wait_for(timeout=1000 * AGAIN)
        except PlaywrightError:
            return False
        return True

    wait_until(opened, "the operator browser does not open")
    search.fill(title)
    page.get_by_text(title, exact=True).last.click()
    form = page.locator("[data-cy=operators-prompt-modal]")
    form.wait_for()
    return form


def pick(page: Page, box: Locator, name: str, picked: Callable[[], bool]) -> None:
    """Choose an option of a dropdown, which the App may draw anew, or close, at any moment.

    Args:
        page: the tab.
        box: what opens the list.
        name: the option's text.
        picked: whether the form shows the choice, not only once the server has answered it.
    """
    option = page.get_by_role("option", name=name, exact=True)

    def done() -> bool:
        try:
            if not picked() and not option.count():
                box.click(timeout=1000 * BRIEF)
            if not picked():
                option.click(timeout=1000 * BRIEF)
            return picked()
        except PlaywrightError:  # it was gone when it was to be clicked: look anew
            return False

    wait_until(done, f"cannot choose {name!r}")


def evaluate_in_form(page: Page, field: str) -> None:
    """Run the open form of *Evaluate masks* on the frame field it proposes."""
    form = page.locator("[data-cy=operators-prompt-modal]")
    form.wait_for()
    expect(form.get_by_text(f"frames.{field}").first).to_be_visible()
    execute = form.get_by_role("button", name="Execute")
    expect(execute).to_be_enabled()
    execute.click()
    expect(page.get_by_text("Videos evaluated")).to_be_visible()
    page.get_by_role("button", name="Done").last.click()


def picture(page: Page) -> np.ndarray:
    """The modal's video with its overlays, (H, W, 3)."""
    shot = page.locator("#modal canvas[canvas-loaded=true]").first.screenshot()
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(np.int16)


def keep(page: Page, folder: Path, name: str) -> None:
    """Save a picture: for a look at a failure, or for the README when asked to."""
    folder = Path(os.environ.get(SHOT) or folder)
    folder.mkdir(parents=True, exist_ok=True)
    with Image.open(io.BytesIO(page.screenshot())) as shot:
        shot.convert("RGB").save(folder / name)


def picture_wanted() -> bool:
    """Whether the README's pictures are to be taken, which are larger than a test needs."""
    return SHOT in os.environ
