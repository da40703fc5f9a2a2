"""The learning curve that grows below a notebook's cell."""

from __future__ import annotations

import base64
import io

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

from hs2s_core.jobs.meters import StepMeter
from hs2s_core.training.curve import in_notebook, step_meter

CODE = """
from hs2s_core.jobs import Progress
from hs2s_core.training import curve as live

live.SECONDS = 0.0
curve = live.step_meter(3)
assert isinstance(curve, live.LiveCurve)
curve.watch(Progress(0.0, "Scoring what is there"))
for step in (1, 2, 3):
    record = {"step": step, "loss": 1 / step, "seconds": 0.1}
    curve.watch(Progress(step / 4, "", record=record))
"""


@pytest.fixture(scope="module")
def shown() -> list[nbformat.NotebookNode]:
    """What stands below the cell at the end."""
    notebook = new_notebook(cells=[new_code_cell(CODE)])
    NotebookClient(notebook, timeout=None).execute()
    found: list[nbformat.NotebookNode] = notebook.cells[0].outputs
    return found


def test_a_notebook_shows_one_picture_in_place(shown: list[nbformat.NotebookNode]) -> None:
    (output,) = shown
    assert "step 3 of 3, loss 0.333" in output.data["text/plain"]
    with Image.open(io.BytesIO(base64.b64decode(output.data["image/png"]))) as picture:
        assert picture.width > 300


def test_elsewhere_it_is_lines() -> None:
    assert not in_notebook()
    assert isinstance(step_meter(3), StepMeter)
