"""Write the tables of settings in docs/training.md: every key of a run's TOML file.

Names, defaults and ranges are the dataclasses'; what a key means is the text below its field.

    python benchmarks/settings_table.py
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

from hs2s_core.checked.settings import Checked, expectation
from hs2s_core.models.config import LiteConfig, PaperConfig
from hs2s_core.training.config import (
    DataConfig,
    FolderConfig,
    Stage,
    TrainingConfig,
    ValidationConfig,
)
from hs2s_core.training.curriculum import Schedule
from hs2s_core.training.losses import LossWeights

PAGE = Path(__file__).resolve().parents[1] / "docs" / "training.md"
MARK = "<!-- settings: written by benchmarks/settings_table.py -->"
SECTIONS: dict[str, type[Checked]] = {
    "At the top of the file": TrainingConfig,
    "`[data]`": DataConfig,
    "Entries of `folders`, in `[data]` and `[validation]`": FolderConfig,
    "`[[stages]]`": Stage,
    "`[schedule]`": Schedule,
    "`[validation]`": ValidationConfig,
    "`[losses]`": LossWeights,
    "`[model]` of the paper's networks": PaperConfig,
    "`[model]` of the lite networks": LiteConfig,
}


def tables() -> str:
    """Markdown of all sections, each a table."""
    lines = []
    for title, cls in SECTIONS.items():
        lines += [f"### {title}", "", "| key | takes | default | meaning |", "|---|---|---|---|"]
        lines += list(_rows(cls))
        lines.append("")
    return "\n".join(lines)


def _rows(cls: type[Checked]) -> Iterator[str]:
    meanings, hints = _meanings(cls), get_type_hints(cls)
    # What must be given first.
    for field in sorted(dataclasses.fields(cls), key=lambda field: _default(field) != ""):
        hint = hints[field.name]
        takes = expectation(hint, field.metadata).removeprefix("a ").replace("|", "\\|")
        cells = (f"`{field.name}`", takes, _default(field), meanings[field.name])
        yield f"| {' | '.join(cells)} |"


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is dataclasses.MISSING:
        return "" if field.default_factory is dataclasses.MISSING else "all defaults"
    if field.default is None or field.default == ():
        return "none"
    value = list(field.default) if isinstance(field.default, tuple) else field.default
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _meanings(cls: type) -> dict[str, str]:
    """The text below each field of a class and of the classes it comes from."""
    found: dict[str, str] = {}
    for part in reversed([c for c in cls.__mro__ if dataclasses.is_dataclass(c)]):
        body = ast.parse(inspect.getsource(part)).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, text in zip(body.body, body.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
                assert isinstance(field.target, ast.Name)
                assert isinstance(text.value, ast.Constant)
                found[field.target.id] = re.sub(r"\s+", " ", str(text.value.value)).replace(
                    "``", "`"
                )
    return found


def page(text: str) -> str:
    """The page with its tables written anew."""
    before, _, after = text.split(MARK)
    return f"{before}{MARK}\n{tables()}{MARK}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
