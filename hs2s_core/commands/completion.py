"""``hs2s completion``: what lets a shell complete commands, options and files."""

from __future__ import annotations

import argparse

from hs2s_core.errors import HS2SError

SHELLS = ("bash", "zsh", "tcsh")
EXAMPLES = (
    "hs2s completion bash > ~/.local/share/bash-completion/completions/hs2s",
    "hs2s completion zsh > ~/.zfunc/_hs2s      # a folder in zsh's fpath",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS)


def run(args: argparse.Namespace) -> int:
    from hs2s_core.cli import build_parser

    try:
        import shtab
    except ImportError as error:
        raise HS2SError(
            "the package shtab is not installed; expected it while completion is written. "
            "`pip install shtab`, then try again."
        ) from error
    print(shtab.complete(build_parser([], every=True), args.shell))
    return 0
