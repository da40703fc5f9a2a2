"""The front of the command line: quick help, one line for what a user can mend."""

from __future__ import annotations

import argparse
import importlib
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from hs2s_core import cli
from hs2s_core.errors import HS2SError, InvalidMedia
from hs2s_core.extensions import extensions
from hs2s_core.media.frames import open_frames

from .conftest import Run

DOCS = Path(__file__).resolve().parents[2] / "docs"
COMMANDS = (*cli.COMMANDS, *extensions("hs2s.commands"))
HEAVY = ("torch", "fiftyone")
PRINT_HEAVY = f"""
import sys
from hs2s_core.cli import main
for command in ([], *([name] for name in sys.argv[1:])):
    try:
        main([*command, "--help"])
    except SystemExit:
        pass
    print(command, [name for name in {HEAVY} if name in sys.modules])
"""


def test_help_is_quick() -> None:
    call = [sys.executable, "-c", PRINT_HEAVY, *COMMANDS]
    said = subprocess.run(call, capture_output=True, text=True, check=True).stdout
    for command in ([], *([name] for name in COMMANDS)):
        assert " ".join(["usage: hs2s", *command]) in said
        assert f"{command} []" in said.splitlines()


@pytest.mark.parametrize("command", COMMANDS)
def test_help_ends_with_examples_that_parse(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main([command, "--help"])
    text = capsys.readouterr().out.partition("\nexamples:\n")[2]
    examples = [shlex.split(line.split(" > ")[0], comments=True) for line in text.splitlines()]
    assert len(examples) >= 2
    for program, *words in examples:
        assert (program, words[0]) == ("hs2s", command)
        assert cli.build_parser(words).parse_args(words).command == command


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--help"])
    said = capsys.readouterr().out
    assert all(f"    {name}" in said for name in COMMANDS)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--version"])
    assert capsys.readouterr().out.startswith("hs2s 0.")


@pytest.mark.parametrize("words", [[], ["dance"], ["evaluate"], ["demo", "--no-such-option"]])
def test_wrong_words_are_explained(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(words)
    assert "usage: hs2s" in capsys.readouterr().err


def raising(error: BaseException, **more: str) -> object:
    """A command that fails, with ``more`` in its module."""

    def run(args: argparse.Namespace) -> int:
        raise error

    known = {"run": run, "add_arguments": lambda parser: None, "EXAMPLES": (), **more}
    return lambda command: SimpleNamespace(**known)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (HS2SError("no cat in cats/; give a folder of cats"), "no cat in cats/; give a folder"),
        (PermissionError(13, "Permission denied", "/out/0.png"), "/out/0.png: Permission denied"),
        (OSError("disk on fire"), "disk on fire"),
        (UnicodeEncodeError("utf-8", "f\udcfcr", 1, 2, "no"), r"'f\udcfcr': the name is no UTF-8"),
    ],
)
def test_a_user_error_is_one_line(
    error: Exception, said: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "_load", raising(error))
    status, out, err = run("doctor")
    assert (status, out) == (2, "")
    assert err.startswith(f"hs2s doctor: error: {said}")
    assert len(err.splitlines()) == 1


def test_an_error_names_the_page_that_helps(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of its kind, or that of a command of which one page tells."""
    monkeypatch.setattr(cli, "_load", raising(InvalidMedia("no frames")))
    assert run("doctor")[2].splitlines()[1:] == [f"More: {DOCS / 'troubleshooting.md'}"]
    monkeypatch.setattr(cli, "_load", raising(InvalidMedia("no frames"), PAGE="evaluation.md"))
    assert run("doctor")[2].splitlines()[1:] == [f"More: {DOCS / 'evaluation.md'}"]


def test_every_page_that_an_error_names_exists() -> None:
    kinds = [HS2SError, *HS2SError.__subclasses__()]
    modules = [importlib.import_module(f"hs2s_core.commands.{name}") for name in cli.COMMANDS]
    pages = {each.page for each in kinds} | {getattr(each, "PAGE", None) for each in modules}
    assert len(pages) > 5
    assert all((DOCS / page).is_file() for page in pages if page is not None)


def test_a_traceback_names_the_page(tmp_path: Path) -> None:
    with pytest.raises(InvalidMedia) as caught:
        open_frames(tmp_path)
    assert caught.value.__notes__ == [f"More: {DOCS / 'troubleshooting.md'}"]
    assert not hasattr(HS2SError("unknown device"), "__notes__")


def test_traceback_on_request(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "_load", raising(HS2SError("no cat")))
    with pytest.raises(HS2SError, match="no cat"):
        run("--traceback", "doctor")


def test_our_own_mistakes_are_not_hidden(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "_load", raising(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        run("doctor")


def test_interrupt(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "_load", raising(KeyboardInterrupt()))
    status, _, err = run("train")
    assert status == 130
    assert err.strip() == "hs2s train: stopped"


@pytest.mark.usefixtures("own_signals")
def test_what_nohup_ignores_stays_ignored(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang_up(_: argparse.Namespace) -> int:
        os.kill(os.getpid(), signal.SIGHUP)
        return 0

    command = SimpleNamespace(EXAMPLES=(), add_arguments=lambda _: None, run=hang_up)
    monkeypatch.setattr(cli, "_load", lambda _: command)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert run("doctor")[0] == 0
    finally:
        signal.signal(signal.SIGHUP, before)
    assert run("doctor")[0] == 128 + signal.SIGHUP


def test_streams_may_be_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As by ``>&-``; Python has None in their places then."""
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    assert cli.main(["weights", "list"]) == 0
    assert cli.main(["check", "nowhere"]) == 2


def test_a_reader_that_leaves_is_no_error() -> None:
    call = f"{sys.executable} -m hs2s_core.cli completion bash | true"
    done = subprocess.run(call, shell=True, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
