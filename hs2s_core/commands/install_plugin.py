"""``hs2s install-plugin``: make the installed package visible to FiftyOne."""

from __future__ import annotations

import argparse
import importlib

from hs2s_core.errors import HS2SError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options; FiftyOne is not imported for them."""
    parser.add_argument(
        "--plugins-dir", help="where FiftyOne looks for plugins (default: as FiftyOne is set up)"
    )


def run(args: argparse.Namespace) -> int:
    """Hand over to FiftyOne's side of the house, which this package never imports by itself."""
    try:
        module = importlib.import_module("hs2s_fiftyone.install")
    except ModuleNotFoundError as error:
        if error.name not in ("hs2s_fiftyone", "fiftyone"):
            raise
        raise HS2SError(
            f"the package {error.name!r} is not installed; install this project with "
            "`pip install hs2s-fiftyone` (or `pip install -e .` in a clone) first"
        ) from error
    code: int = module.run(args)
    return code
