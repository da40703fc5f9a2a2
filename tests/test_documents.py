"""README and docs: their command lines parse, and their table of settings is that of the code."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from hs2s_core.cli import build_parser

from .scripts import load_script

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OTHERS = [*sorted((ROOT / ".github").glob("*.md")), ROOT / "CHANGELOG.md"]
CONFIGS = sorted((ROOT / "configs").glob("*.toml"))


def command_lines(text: str) -> list[list[str]]:
    """Arguments of every ``hs2s`` in shell blocks, and in comments of a configuration."""
    blocks = re.findall(r"```(?:bash|sh)\n(.*?)```", text, re.DOTALL)
    blocks.append("\n".join(re.findall(r"^#   (.*)", text, re.MULTILINE)))
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    starts = re.compile(r"(?:^|&& |/)(?:hs2s|torchrun .*-m hs2s_core\.cli) (?=[a-z])")
    found = []
    for line in lines:
        for part in starts.split(line)[1:]:
            alone = re.split(" (?:&&|>) ", part)[0]
            found.append(shlex.split(alone, comments=True))
    return found


@pytest.mark.parametrize("page", [*PAGES, *CONFIGS], ids=lambda page: page.name)
def test_command_lines_parse(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in command_lines(page.read_text()):
        if "--help" in words or "COMMAND" in words:
            continue
        try:
            args = build_parser(words).parse_args(words)
        except SystemExit:
            pytest.fail(f"{' '.join(words)}: {capsys.readouterr().err}")
        config = getattr(args, "config", None)
        if config is not None and config.parts[0] == "configs":
            assert (ROOT / config).is_file(), f"{config} of {' '.join(words)}"


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=lambda page: page.name)
def test_links_inside_the_repository_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([\w-]+))?\)", page.read_text()):
        found = page.parent / target if target else page
        assert found.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor in anchors(found.read_text()), f"{page.name}: {target}#{anchor}"


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=lambda page: page.name)
def test_files_that_are_named_exist(page: Path) -> None:
    text = page.read_text()
    named = re.findall(r"`((?:hs2s_core|plugin|tests|docs|configs|benchmarks)/[\w./-]*)`", text)
    missing = [name for name in named if not (ROOT / name).exists()]
    assert not missing, page.name


def anchors(text: str) -> set[str]:
    """Those of a page's headings, as MkDocs and code hosts make them."""
    headings = re.findall(r"^#+ (.*)", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_command_lines_are_found() -> None:
    text = "".join(page.read_text() for page in PAGES)
    commands = {words[0] for words in command_lines(text)}
    assert commands >= {"demo", "propagate", "evaluate", "train", "weights", "doctor"}


def test_settings_are_listed_as_they_are() -> None:
    table = load_script(ROOT / "benchmarks/settings_table.py")
    text = table.PAGE.read_text()
    assert table.page(text) == text, "run python benchmarks/settings_table.py"
    assert "| `weight_decay` | number of at least 0 | `0.0001` |" in text
