"""The walls of the house: which package may know of which."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from .scripts import load_script

ROOT = Path(__file__).resolve().parents[1]
import_graph = load_script(ROOT / "docs/import_graph.py")

FOREIGN = ("fiftyone", "plugin", "hs2s_fiftyone")


def named(tree: ast.Module) -> Iterator[str]:
    """Every module that a file imports, also by a name in a string, as at run time."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Call):
            arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
            for argument in arguments:
                parts = argument.elts if isinstance(argument, (ast.List, ast.Tuple)) else [argument]
                for part in parts:
                    if isinstance(part, ast.Constant) and isinstance(part.value, str):
                        yield part.value


@pytest.mark.parametrize(
    "path", sorted((ROOT / "hs2s_core").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_the_core_knows_nothing_of_the_plugin(path: Path) -> None:
    found = {name.partition(".")[0] for name in named(ast.parse(path.read_text()))}
    assert not found & set(FOREIGN)


def test_what_is_looked_for_is_found() -> None:
    source = "import importlib\nimportlib.import_module('hs2s_fiftyone.demo')\nrun(['fiftyone'])"
    assert {"hs2s_fiftyone.demo", "fiftyone"} <= set(named(ast.parse(source)))


def test_no_modules_and_no_rooms_import_each_other_in_a_circle() -> None:
    graph = import_graph.module_graph()
    assert "hs2s_core.evaluation.rows" in graph["hs2s_core.evaluation.scores"]
    assert import_graph.find_circle(graph) == []
    assert import_graph.find_circle(import_graph.room_graph(graph)) == []


def test_the_picture_of_the_house_is_that_of_its_imports() -> None:
    text = import_graph.PAGE.read_text("utf-8")
    assert import_graph.page(import_graph.module_graph(), text) == text, (
        "run python docs/import_graph.py"
    )


def test_a_circle_is_found() -> None:
    assert set(import_graph.find_circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})) == {"a", "b", "c"}
