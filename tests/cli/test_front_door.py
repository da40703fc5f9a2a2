"""What a newcomer reads first is true: commands, extras, versions, pictures."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from check_jsonschema import main as check_schema
from click.testing import CliRunner

from hs2s_core import cli
from hs2s_core.extensions import extensions

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
CI = (ROOT / ".ci" / "run").read_text()
WEIGHTS = (ROOT / "docs" / "weights.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def commands() -> list[str]:
    """The README's two commands."""
    return re.findall(r"^python3 -m venv .*$", README, flags=re.MULTILINE)


def test_there_are_two_commands_and_each_stands_alone() -> None:
    demo, tests = (command.split(" && ") for command in commands())
    assert demo[0] == tests[0] == "python3 -m venv .venv"
    assert demo[1].startswith(".venv/bin/pip install ")
    assert demo[2:] == [".venv/bin/hs2s demo"]
    assert tests[2:] == [".venv/bin/pytest -n 2"]


def test_ci_runs_the_test_command() -> None:
    _, install, command = commands()[1].split(" && ")
    tests, _, options = command.removeprefix(".venv/bin/").partition(" ")
    installed = install.removeprefix(".venv/bin/pip install ")
    assert f'"$environment/bin/pip" install --quiet {installed}\n' in CI
    assert CI.endswith(f'"$environment/bin/{tests}" {options}\n')


def test_workflows_run_what_is_promised() -> None:
    """Every Python and system, and the oldest packages; each step does one thing."""
    workflows = ROOT / ".github" / "workflows"
    read = {path.stem: yaml.safe_load(path.read_text()) for path in workflows.iterdir()}
    jobs = {name: job for each in read.values() for name, job in each["jobs"].items()}
    assert set(jobs) == {"linux", "matrix", "oldest", "publish"}
    assert all(
        len({"uses", "run"} & set(step)) == 1 for job in jobs.values() for step in job["steps"]
    )
    matrix = jobs["matrix"]["strategy"]["matrix"]
    assert matrix["os"] == ["ubuntu-latest", "macos-latest", "windows-latest"]
    known = "Programming Language :: Python :: 3."
    assert [f"{known}{each[2:]}" for each in matrix["python"]] == [
        each for each in PROJECT["classifiers"] if each.startswith(known)
    ]
    commands = [step["run"] for step in jobs["oldest"]["steps"] if "run" in step]
    oldest = re.findall(r"(\w+)==([\d.]+)\.\*", commands[-2])
    assert len(oldest) == 3
    assert "tests/plugin" not in commands[-1], "the plugin is what needs FiftyOne"
    needed = [each.partition(",")[0] for each in PROJECT["dependencies"]]
    assert {f"{name}>={version}" for name, version in oldest} <= set(needed)


@pytest.mark.parametrize(
    ("schema", "pattern"),
    [
        ("github-workflows", ".github/workflows/*.yml"),
        ("github-issue-forms", ".github/ISSUE_TEMPLATE/*.yml"),
        ("citation-file-format", "CITATION.cff"),
    ],
)
def test_what_github_reads_is_well_formed(schema: str, pattern: str) -> None:
    """It cannot run here, but its keys and values are those that exist."""
    files = sorted(map(str, ROOT.glob(pattern)))
    assert files
    told = CliRunner().invoke(check_schema, ["--builtin-schema", f"vendor.{schema}", *files])
    assert told.exit_code == 0, told.output


def test_extras_exist() -> None:
    named = re.findall(r"'\.\[([\w,]+)\]'", README + CI)
    assert named
    for extras in named:
        assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"])


# Stands for Python and all programs: notes its call; `-m venv DIR` puts itself into DIR/bin.
STAND_IN = """#!/usr/bin/env bash
echo "$(basename "$0") $*" >> "$CALLS"
case "$(basename "$0") $*" in
    "python3 -m venv "*)
        mkdir -p "$3/bin"
        for name in pip ruff mypy pytest; do cp "$0" "$3/bin/$name"; done ;;
    "ldconfig -p") echo "libcurl.so.4" ;;
    "$FAILING"*) exit 7 ;;
esac
"""


@pytest.mark.parametrize(
    ("failing", "status", "last"), [("-", 0, "pytest "), ("mypy", 7, "mypy "), ("pip", 7, "pip")]
)
def test_ci_run(failing: str, status: int, last: str, tmp_path: Path) -> None:
    """All steps in their order, the first failure ends it, and no environment is left."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "tmp").mkdir()
    for name in ("python3", "ffmpeg", "chromium", "ldconfig"):
        program = tmp_path / "bin" / name
        program.write_text(STAND_IN)
        program.chmod(0o755)
    calls = tmp_path / "calls"
    environment = {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "TMPDIR": str(tmp_path / "tmp"),
        "CALLS": str(calls),
        "FAILING": failing,
        "CI": "true",
    }
    done = subprocess.run([str(ROOT / ".ci" / "run")], env=environment, cwd=tmp_path)
    assert done.returncode == status
    steps = calls.read_text().splitlines()
    assert steps[-1].startswith(last)
    if not status:
        names = [step.split()[0] for step in steps if not step.startswith(("python3", "ldconfig"))]
        assert names == ["pip", "ruff", "ruff", "mypy", "pytest"]
    assert not list((tmp_path / "tmp").iterdir())


@pytest.mark.parametrize("name", [*cli.COMMANDS, *extensions("hs2s.commands")])
def test_every_command_is_listed(name: str) -> None:
    assert f"\nhs2s {name} " in (ROOT / "docs" / "commands.md").read_text()


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) < 150


def row(page: str, name: str) -> list[str]:
    """The numbers in the first row of a page's tables whose name begins so."""
    (found, *_) = re.findall(rf"^\| \**{re.escape(name)}.*?\|(.*)\|$", page, re.MULTILINE)
    return re.findall(r"[\d.]+", found)


def test_the_readmes_figures_are_measured_ones() -> None:
    """Those of the weights' card, and of the pages that say how they were measured."""
    card = json.loads((ROOT / "assets" / "hs2s-lite.json").read_text())
    scores = card["scores"]["real videos"]
    for name, known in {
        "the first mask, held still": "copy of the first mask",
        "the first mask, moved by": "DIS optical flow",
        "S2S-lite": "s2s-lite, trunk",
        "HS2S-lite, bundled": "hs2s-lite",
    }.items():
        (said,) = row(README, name)
        entry = next(each for key, each in scores.items() if key.startswith(known))
        assert abs(float(said) - (entry["j"] + entry["f"]) / 2) < 0.11, name
        assert said in row(WEIGHTS, name), name
    size = (ROOT / "assets" / "hs2s-lite.safetensors").stat().st_size / 2**20
    assert f", {size:.1f} MiB)" in README
    (rate,) = re.findall(r"from MP4 to PNGs ([\d to]+) frames a second", README)
    assert f"HS2S-lite does {rate} frames a second" in (ROOT / "docs" / "speed.md").read_text()


def test_pages_say_the_same_of_the_networks_speed() -> None:
    (known,) = re.findall(r"^\| \*\*\d+x\d+\*\* \|.*\| (\d+) \|$", WEIGHTS, re.MULTILINE)
    for page in ("questions.md", "many-videos.md"):
        said = re.findall(r"(\d+)\s+ms\s+a\s+frame", (ROOT / "docs" / page).read_text())
        assert said == [known], page


def test_one_address() -> None:
    """Wherever the repository's own stands; others' are named here."""
    others = {"facebookresearch/sam2", "voxel51/fiftyone-labs", "hkchengrex/Cutie"}
    kept = (
        "*.toml",
        "*.cff",
        "*.md",
        "docs/*.md",
        ".github/*.md",
        "plugin/**/*.py",
        "hs2s_core/**/*.py",
    )
    texts = [path.read_text() for pattern in kept for path in ROOT.glob(pattern)]
    found = {each for text in texts for each in re.findall(r"github\.com/([\w.-]+/[\w.-]+)", text)}
    own = PROJECT["urls"]["Repository"].removeprefix("https://github.com/")
    assert found == {own, *others}


def test_one_version() -> None:
    manifest = yaml.safe_load((ROOT / "fiftyone.yml").read_text())
    assert manifest["version"] == PROJECT["version"]
    changes = (ROOT / "CHANGELOG.md").read_text()
    released = re.findall(r"^## \[(\d[^]]*)\] - \d{4}-\d\d-\d\d$", changes, re.MULTILINE)
    assert released[0] == PROJECT["version"]
    assert (ROOT / "LICENSE").read_text().lstrip().startswith("Apache License")
