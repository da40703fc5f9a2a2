"""The App's server, and a browser tab that looks at it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from .browser import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
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
    # Web fonts and statistics: without a network they block the page for seconds.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)

# Frames are drawn in software, which takes most of the time: some ten a second will do, and
# nothing needs to move by itself.
CALM = """
window.requestAnimationFrame = (call) => setTimeout(() => call(performance.now()), 100);
window.cancelAnimationFrame = clearTimeout;
document.addEventListener("DOMContentLoaded", () => {
    const style = document.createElement("style");
    style.textContent = "*, ::before, ::after {animation: none !important; "
        + "transition: none !important}";
    document.head.append(style);
});
"""


@pytest.fixture(scope="package")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
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
        server.wait(PATIENCE)


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


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """A browser that reaches nothing but the App."""
    browser_path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser_path is None:
        pytest.fail(f"no browser for the App tests; install Chromium (one of {BROWSERS})")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browser_path, headless=True, args=list(FLAGS)
        )
        yield browser
        browser.close()


@pytest.fixture
def page(app: str, browser: Browser) -> Iterator[Page]:
    """A tab that remembers nothing of those before."""
    context = browser.new_context(viewport={"width": 1500, "height": 900}, reduced_motion="reduce")
    tab = context.new_page()
    tab.set_default_timeout(1000 * PATIENCE)
    expect.set_options(timeout=1000 * PATIENCE)
    tab.add_init_script(CALM)
    # A pop-up that would cover the form.
    tab.add_init_script("localStorage.setItem('fiftyone-enterprise-tooltip-seen', 'true')")
    yield tab
    context.close()
