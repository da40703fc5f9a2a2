"""The command line: ``hs2s COMMAND``, one module of :mod:`hs2s_core.commands` per command.

A command's module has ``EXAMPLES``, ``add_arguments(parser)``, ``run(args) -> exit status`` and,
where one page of docs/ is about it, that ``PAGE``, which its errors name in place of their own. It
is imported only when its command was typed, so that ``hs2s --help`` answers at once. Other packages
add commands of their own (:mod:`hs2s_core.extensions`).
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from hs2s_core.doctor import PACKAGE, version_of
from hs2s_core.errors import HS2SError, where_to_read
from hs2s_core.extensions import COMMANDS as COMMAND_GROUP
from hs2s_core.extensions import extensions
from hs2s_core.jobs.stopping import stopping

COMMANDS = {
    "propagate": "segment every frame of a video or a folder of frames, from masks as PNG",
    "evaluate": "score predicted masks against true ones: J and F",
    "check": "say everything that is wrong with a YouTube-VOS, DAVIS or plain folder",
    "synthesize": "make labelled clips from stills with region masks",
    "train": "train a network, or go on with an interrupted run",
    "curve": "draw the learning curve of a training run",
    "ablate": "train and score the rows of the paper's tables",
    "weights": "convert, describe and list weights files",
    "doctor": "show what is installed and what is missing, and how to mend it",
    "completion": "print what lets a shell complete this command line",
}
"""This package's commands, and what each does."""

USER_ERROR = 2
"""Exit status of what the user can mend; argparse uses the same."""
_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command in ``argv`` (by default that of the process); returns the exit status."""
    _mend_streams()
    arguments = list(sys.argv[1:] if argv is None else argv)
    args = build_parser(arguments).parse_args(arguments)
    module = _load(args.command)
    try:
        with stopping():
            status: int = module.run(args)
            sys.stdout.flush()
    except (HS2SError, OSError, UnicodeEncodeError) as error:
        if isinstance(error, BrokenPipeError):
            # `hs2s ... | head`: nobody reads on, which is no error worth a message.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        if args.traceback:
            raise
        print(f"hs2s {args.command}: error: {_describe(error)}", file=sys.stderr)
        if isinstance(error, HS2SError):
            more = where_to_read(getattr(module, "PAGE", error.page))
            print(f"{more}\n" if more else "", end="", file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt as stop:  # a training run says what it saved, and its exit status
        print(f"\nhs2s {args.command}: {str(stop) or 'stopped'}", file=sys.stderr)
        return int(getattr(stop, "status", _INTERRUPTED))
    return status


def build_parser(arguments: Sequence[str], *, every: bool = False) -> argparse.ArgumentParser:
    """The parser for these arguments: only the command they name is imported and filled in.

    With ``every``, all are.
    """
    parser = _Parser(
        prog="hs2s", description="HS2S: one mask in, the object segmented in every frame."
    )
    version = version_of(PACKAGE) or "(not installed, run from a clone)"
    parser.add_argument("--version", action="version", version=f"hs2s {version}")
    parser.add_argument(
        "--traceback", action="store_true", help="on an error, show where in the code it arose"
    )
    subparsers = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", title="commands"
    )
    # No option before the command takes a value, so the first word is the command.
    chosen = next((word for word in arguments if not word.startswith("-")), None)
    # Another package's commands are read where they are asked for, so that none hinders ours.
    others = {
        name: entry.load().SUMMARY if every or chosen in (None, name) else name
        for name, entry in extensions(COMMAND_GROUP).items()
    }
    for name, summary in {**COMMANDS, **others}.items():
        command = subparsers.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if every or name == chosen:
            module = _load(name)
            module.add_arguments(command)
            examples = "\n  ".join(["examples:", *module.EXAMPLES])
            command.epilog = "\n\n".join(filter(None, [command.epilog, examples]))
    return parser


class _Parser(argparse.ArgumentParser):
    """Says how files are named whose names look like options."""

    def error(self, message: str) -> NoReturn:
        files = (word for word in message.split() if word.startswith("-") and Path(word).exists())
        if file := next(files, None):
            message += f"; the file is named ./{file}, because names in - are options"
        super().error(message)


def _load(command: str) -> ModuleType:
    if command in COMMANDS:
        return importlib.import_module(f"hs2s_core.commands.{command}")
    module: ModuleType = extensions(COMMAND_GROUP)[command].load()
    return module


def _describe(error: Exception) -> str:
    """Our own errors say all; those of the operating system lack the file's name up front."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, UnicodeEncodeError):
        return f"{error.object!r}: the name is no UTF-8, which tables and zips need; rename it"
    return str(error) or type(error).__name__


def _mend_streams() -> None:
    """Let streams that the caller closed lead nowhere, and names of any bytes be printed."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass  # else the files to come would get the numbers, and what libraries print
    os.close(number)
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w"))  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    sys.exit(main())
