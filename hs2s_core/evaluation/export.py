"""Rows to CSV, Parquet and JSON; every file names the protocol its numbers follow."""

from __future__ import annotations

import csv
import dataclasses
import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_type_hints

from hs2s_core.errors import HS2SError
from hs2s_core.evaluation.protocol import Protocol
from hs2s_core.evaluation.rows import Row, Rows
from hs2s_core.evaluation.scores import GroupScore, ObjectScore, Statistics, Summary
from hs2s_core.files import replacing

COLUMNS = (*Row._fields, "protocol")
_FORMATS = (".csv", ".parquet", ".json")


def check_output(path: str | Path) -> str:
    """Return the suffix of a file that can be written; meant to be called before any work.

    Raises:
        HS2SError: an unknown suffix, a folder in the way, or pyarrow missing for Parquet.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in _FORMATS:
        raise HS2SError(f"{path}: cannot write this format; expected one of {', '.join(_FORMATS)}.")
    if path.is_dir():
        raise HS2SError(f"{path}: is a folder; expected the name of a file to write.")
    if suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise HS2SError(
            f"{path}: Parquet needs the package pyarrow, which is not installed; run "
            "`pip install pyarrow`, or write .csv instead."
        )
    return suffix


def write_csv(path: str | Path, rows: Rows, protocol: Protocol) -> None:
    """Write a header and one line per row; booleans as true and false, unknown as nothing."""
    with replacing(Path(path)) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in rows:
            cells = (str(cell).lower() if isinstance(cell, bool) else cell for cell in row)
            writer.writerow([*cells, protocol.name])


def write_parquet(path: str | Path, rows: Rows, protocol: Protocol) -> None:
    """Write typed columns (int64, float64, bool, string), the protocol also as file metadata."""
    import pyarrow
    import pyarrow.parquet

    kinds = {
        str: pyarrow.string(),
        int: pyarrow.int64(),
        float: pyarrow.float64(),
        bool: pyarrow.bool_(),
    }
    # Types come from the declaration: the values of a column may all be unknown.
    fields = [
        pyarrow.field(name, kinds[next(iter(get_args(hint)), hint)])
        for name, hint in get_type_hints(Row).items()
    ]
    schema = pyarrow.schema([*fields, pyarrow.field("protocol", pyarrow.string())])
    table = pyarrow.Table.from_pylist(
        [{**row._asdict(), "protocol": protocol.name} for row in rows],
        schema=schema.with_metadata({"protocol": protocol.description}),
    )
    with replacing(Path(path)) as part:
        pyarrow.parquet.write_table(table, part)


def write_json(path: str | Path, rows: Rows, summary: Summary, about: Mapping[str, Any]) -> None:
    """Write ``{"protocol", "summary", ..., "rows"}``; rows as objects with the column names."""
    protocol = summary.protocol
    document = {
        "protocol": {**dataclasses.asdict(protocol), "description": protocol.description},
        "summary": {
            "overall": None if summary.overall is None else _scores(summary.overall),
            "groups": {name: _scores(score) for name, score in summary.groups.items()},
            "videos": {name: _scores(score) for name, score in summary.videos.items()},
            "objects": [_scores(score) for score in summary.objects],
            "uncounted": [{"video": video, "object": key} for video, key in summary.uncounted],
        },
        **about,
        "rows": [row._asdict() for row in rows],
    }
    with replacing(Path(path)) as part, part.open("w", encoding="utf-8") as file:
        json.dump(document, file, ensure_ascii=False, allow_nan=False)
        file.write("\n")


def _scores(score: ObjectScore | GroupScore) -> dict[str, Any]:
    """Flatten a score: j_mean, j_recall, ..., and jf."""
    flat: dict[str, Any] = {}
    for name, value in vars(score).items():
        if isinstance(value, Statistics):
            flat |= {f"{name}_{part}": number for part, number in vars(value).items()}
        else:
            flat[name] = value
    return {**flat, "jf": score.jf}
