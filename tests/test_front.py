"""The front of both packages: its names, their docstrings, and what an import costs."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
PUBLIC = ["hs2s_core", "hs2s_fiftyone"]
PUBLIC += re.findall(r"^::: ([\w.]+)", (ROOT / "docs/api.md").read_text(), re.MULTILINE)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_documented(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    for public in module.__all__:
        assert not public.startswith("_")
        value = getattr(module, public)
        if inspect.isroutine(value) or inspect.isclass(value) or hasattr(value, "__wrapped__"):
            assert (value.__doc__ or "").strip(), f"{name}.{public} has no docstring"
        else:
            assert public in described(module, public), f"{name}.{public} is not described"


def described(module: ModuleType, public: str) -> Iterator[str]:
    """Constants with a string below them, in the module that assigns ``public``."""
    assert module.__file__ is not None
    tree = ast.parse(Path(module.__file__).read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and public in {alias.name for alias in node.names}:
            parent = module.__name__ if node.level else ""
            home = importlib.import_module(f"{'.' * node.level}{node.module}", parent or None)
            yield from described(home, public)
    for node, after in zip(tree.body, tree.body[1:], strict=False):
        if not isinstance(after, ast.Expr) or not isinstance(after.value, ast.Constant):
            continue
        if isinstance(node, ast.Assign):
            yield from (each.id for each in node.targets if isinstance(each, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


@pytest.mark.parametrize(
    ("line", "absent"),
    [
        (
            "import hs2s_core; hs2s_core.HS2SError, hs2s_core.Prompts, hs2s_core.open_frames",
            "torch",
        ),
        ("import hs2s_fiftyone; hs2s_fiftyone.HS2SError", "fiftyone.core.dataset"),
        ("import hs2s_core.training.loop", "torchvision"),
    ],
)
def test_the_front_is_lazy(line: str, absent: str) -> None:
    package = line.split()[1].partition(".")[0].rstrip(";")
    offered = f"set({package}.__all__) <= set(dir({package}))"  # what notebooks complete
    code = f"import sys; {line}; sys.exit({absent!r} in sys.modules or not {offered})"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_loading_is_found_where_scripts_look_for_it() -> None:
    from hs2s_fiftyone import dataset, load_vos_dataset

    assert dataset.load is load_vos_dataset


def test_an_unknown_name_is_an_attribute_error() -> None:
    import hs2s_core

    with pytest.raises(AttributeError, match="'hs2s_core' has no attribute 'segment'"):
        _ = hs2s_core.segment  # type: ignore[attr-defined]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_snippets_use_what_is_public(page: Path) -> None:
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Attribute):
                assert not node.attr.startswith("_"), f"{page.name}: .{node.attr}"
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hs2s_"):
                for alias in node.names:
                    path = f"{node.module}.{alias.name}"
                    public = node.module in PUBLIC and alias.name in _all(node.module)
                    assert public or path in PUBLIC, f"{page.name}: {path} is on no page"


def _all(name: str) -> list[str]:
    names: list[str] = importlib.import_module(name).__all__
    return names
