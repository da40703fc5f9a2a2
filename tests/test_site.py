"""The site builds, with every page in its navigation; links, anchors and API names are found."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly: any warning of MkDocs is an error."""
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out


def test_pages_show_what_lies_outside_of_them(site: Path) -> None:
    assert 'src="../assets/pictures/draw-2-mask.png"' in (site / "draw/index.html").read_text()
    assert (site / "assets/pictures/draw-2-mask.png").is_file()
    assert "configs/example.toml" in (site / "training/index.html").read_text()
    assert "../configs/" not in (site / "training/index.html").read_text()


def test_the_api_is_what_is_public(site: Path) -> None:
    page = (site / "api/index.html").read_text()
    assert 'id="hs2s_core.weights.load_model"' in page
    assert 'id="hs2s_fiftyone.propagation.runner.propagate"' in page
    assert 'id="hs2s_fiftyone.propagation.runner.propagate_steps"' not in page
