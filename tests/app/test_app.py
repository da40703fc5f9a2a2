"""A user's way through the App, in a real browser: form, run, masks on the video."""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import fiftyone as fo
import numpy as np
import psutil
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect, sync_playwright

from hs2s_core.resources import asset
from hs2s_fiftyone import dataset as vos

ROOT = Path(__file__).resolve().parents[2]
SHOT = "HS2S_KEEP_SCREENSHOTS"
"""Environment variable with the folder for the README's picture."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
EXECUTE = "Execute"
PATIENCE = 120.0
"""Seconds: the first form imports PyTorch in the server, and the machine may be busy."""

pytestmark = pytest.mark.timeout(600)


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


@pytest.fixture(scope="module")
def app(demo: fo.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of FiftyOne's server, with the clone linked as a plugin.

    It is started here rather than by ``fo.launch_app``, whose server outlives the session.
    """
    folder = tmp_path_factory.mktemp("app")
    (folder / "plugins").mkdir()
    (folder / "plugins" / "vos").symlink_to(ROOT)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = folder / "server.log"
    with log.open("w") as out:
        server = subprocess.Popen(
            [sys.executable, "-m", "fiftyone.server.main", "--port", str(port)],
            env=os.environ | {"FIFTYONE_PLUGINS_DIR": str(folder / "plugins")},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        address = f"http://127.0.0.1:{port}"
        wait_for(f"{address}/fiftyone", server, log)
        yield address
    finally:
        children = psutil.Process(server.pid).children(recursive=True)
        server.terminate()
        for child in children:
            child.kill()
        server.wait(30)


def wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    """Until the server answers."""
    deadline = time.monotonic() + PATIENCE
    while server.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError(f"the App's server did not start:\n{log.read_text()[-3000:]}")


@pytest.fixture
def page(app: str) -> Iterator[Page]:
    """A browser tab that reaches nothing but the App."""
    browser_path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser_path is None:
        pytest.fail(f"no browser for the App tests; install Chromium (one of {BROWSERS})")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browser_path, headless=True, args=list(FLAGS)
        )
        tab = browser.new_context(viewport={"width": 1500, "height": 900}).new_page()
        tab.set_default_timeout(1000 * PATIENCE)
        expect.set_options(timeout=1000 * PATIENCE)
        # A pop-up that would cover the form.
        tab.add_init_script("localStorage.setItem('fiftyone-enterprise-tooltip-seen', 'true')")
        # Web fonts and statistics: without a network they block the page for seconds.
        tab.route(
            "**/*",
            lambda route: route.continue_() if route.request.url.startswith(app) else route.abort(),
        )
        yield tab
        browser.close()


def test_masks_are_propagated_by_the_form(app: str, page: Page, tmp_path: Path) -> None:
    page.goto(f"{app}/datasets/demo", wait_until="domcontentloaded")
    page.wait_for_selector("[data-cy=entry-counts]")

    form = open_form(page)
    execute = form.get_by_role("button", name=EXECUTE)
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

    open_sample(page)
    step_frames(page, 9)
    try:
        wait_until(lambda: overlay_area(page) > 0.002)
    finally:
        keep(page, tmp_path, "app-propagate.png")


def open_form(page: Page) -> Locator:
    """Find the operator as users do, in the operator browser."""
    page.wait_for_timeout(500)
    page.keyboard.press("`")
    page.wait_for_selector("[data-cy=operators-browser-search]")
    page.keyboard.type("Propagate masks", delay=10)
    page.wait_for_timeout(300)
    page.keyboard.press("Enter")
    form = page.locator("[data-cy=operators-prompt-modal]")
    form.wait_for()
    expect(form.get_by_role("button", name=EXECUTE)).to_be_enabled()
    return form


def open_sample(page: Page) -> None:
    page.locator("[data-cy=looker]").first.click()
    page.wait_for_selector("#modal canvas[canvas-loaded=true]", state="attached")
    page.wait_for_timeout(1000)


def step_frames(page: Page, count: int) -> None:
    for _ in range(count):
        page.keyboard.press(".")
        page.wait_for_timeout(100)


def wait_until(condition: Callable[[], bool]) -> None:
    """The browser draws when it gets to it."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "the masks do not appear on the video"


def overlay_area(page: Page) -> float:
    """Share of the picture that changes when the overlays are hidden (Shift is held)."""
    shown = picture(page)
    page.keyboard.down("Shift")
    page.wait_for_timeout(500)
    hidden = picture(page)
    page.keyboard.up("Shift")
    page.wait_for_timeout(500)
    return float((np.abs(shown - hidden).max(axis=2) > 20).mean())


def picture(page: Page) -> np.ndarray:
    """The modal's video with its overlays, (H, W, 3)."""
    shot = page.locator("#modal canvas[canvas-loaded=true]").first.screenshot()
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(np.int16)


def keep(page: Page, folder: Path, name: str) -> None:
    """Save a picture: for a look at a failure, or for the README when asked to."""
    page.screenshot(path=str(Path(os.environ.get(SHOT) or folder) / name))
