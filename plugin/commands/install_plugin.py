"""``hs2s install-plugin``: make the installed package visible to FiftyOne."""

from __future__ import annotations

import argparse

SUMMARY = "make the plugin known to FiftyOne"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``hs2s install-plugin``."""
    parser.add_argument(
        "--plugins-dir", help="where FiftyOne looks for plugins (default: as FiftyOne is set up)"
    )


def run(args: argparse.Namespace) -> int:
    """Install, and say how to go on."""
    from ..install import run

    return run(args)
