"""CSV, Parquet and JSON hold the same rows and name their protocol."""

from __future__ import annotations

import csv
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hs2s_core.errors import HS2SError
from hs2s_core.evaluation import EvaluationTable, FramePair, ObjectInfo, VideoFailure
from hs2s_core.evaluation import evaluate_sequence as evaluate
from hs2s_core.evaluation.export import COLUMNS


@pytest.fixture
def table() -> EvaluationTable:
    rng = np.random.default_rng(0)
    maps = rng.integers(0, 3, (2, 4, 10, 10), dtype=np.uint8)
    frames = [FramePair(maps[0, t], maps[1, t], t, f"{t:05}") for t in range(4)]
    objects = {1: ObjectInfo("sea, lion", True), 2: ObjectInfo()}
    whole = evaluate("v", frames, "all_frames", objects=objects)
    failure = VideoFailure("w", "lacks frames")
    return EvaluationTable(whole.protocol, whole.rows, (failure,), ("note",))


def test_csv(table: EvaluationTable, tmp_path: Path) -> None:
    path = tmp_path / "new" / "rows.csv"
    table.write(path)
    with path.open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert tuple(lines[0]) == COLUMNS
    assert len(lines) == len(table.rows) == 8
    for line, row in zip(lines, table.rows, strict=True):
        assert float(line["j"]) == row.j
        assert float(line["f"]) == row.f
        assert int(line["object"]) == row.object
        assert line["frame_name"] == row.frame_name
        assert line["counted"] == "true"
        assert line["protocol"] == "all_frames"
    assert {(line["category"], line["seen"]) for line in lines} == {("sea, lion", "true"), ("", "")}
    assert [entry.name for entry in path.parent.iterdir()] == ["rows.csv"]


def test_json(table: EvaluationTable, tmp_path: Path) -> None:
    table.write(tmp_path / "rows.json")
    document = json.loads((tmp_path / "rows.json").read_text())
    assert document["protocol"]["description"] == table.protocol.description
    assert document["rows"] == [row._asdict() for row in table.rows]
    assert document["failures"] == [{"video": "w", "reason": "lacks frames"}]
    assert document["notes"] == ["note"]
    overall = table.summary().overall
    assert overall is not None
    assert document["summary"]["overall"]["jf"] == overall.jf
    assert document["summary"]["overall"]["j_recall"] == overall.j.recall
    assert document["summary"]["objects"][0]["category"] == "sea, lion"


def test_parquet_or_what_it_needs(table: EvaluationTable, tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    if importlib.util.find_spec("pyarrow") is None:
        with pytest.raises(HS2SError, match="pip install pyarrow"):
            table.write(path)
        return
    import pyarrow.parquet

    table.write(path)
    stored = pyarrow.parquet.read_table(path)
    assert tuple(stored.column_names) == COLUMNS
    assert stored.drop(["protocol"]).to_pylist() == [row._asdict() for row in table.rows]
    assert stored.schema.metadata[b"protocol"].decode() == table.protocol.description
    # A table without rows keeps its column types.
    EvaluationTable(table.protocol).write(path)
    assert pyarrow.parquet.read_schema(path).equals(stored.schema)


def test_missing_pyarrow_is_named(
    table: EvaluationTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec

    def without_pyarrow(name: str) -> object:
        return None if name == "pyarrow" else real(name)

    monkeypatch.setattr(importlib.util, "find_spec", without_pyarrow)
    with pytest.raises(HS2SError, match="Parquet needs the package pyarrow"):
        table.write(tmp_path / "rows.parquet")
    assert list(tmp_path.iterdir()) == []


def test_empty_table(table: EvaluationTable, tmp_path: Path) -> None:
    empty = EvaluationTable(table.protocol)
    empty.write(tmp_path / "a.csv")
    empty.write(tmp_path / "a.json")
    assert (tmp_path / "a.csv").read_text() == ",".join(COLUMNS) + "\n"
    assert json.loads((tmp_path / "a.json").read_text())["summary"]["overall"] is None


def test_unusable_outputs_are_refused(table: EvaluationTable, tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    for name, message in (("a.xlsx", "expected one of .csv"), ("folder.csv", "is a folder")):
        with pytest.raises(HS2SError, match=message):
            table.write(tmp_path / name)


def test_evaluation_does_not_load_heavy_packages() -> None:
    heavy = ("torch", "pandas", "pyarrow", "fiftyone")
    code = (
        f"import sys, hs2s_core.evaluation;print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
