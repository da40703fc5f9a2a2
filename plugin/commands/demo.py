"""``hs2s demo``: the main job on the bundled clip, in FiftyOne, from masks to scores."""

from __future__ import annotations

import argparse
from pathlib import Path

from hs2s_core.commands.options import add_count, add_model_options, add_path, add_switch
from hs2s_core.errors import HS2SError

SUMMARY = "propagate masks through the bundled clip in FiftyOne, score and draw the result"
EXAMPLES = (
    "hs2s demo --app",
    "hs2s demo --weights runs/mine/mine.safetensors --out mine/ --dataset mine",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``hs2s demo``; FiftyOne is not imported for them."""
    text = "folder for masks, table, video and contact sheet (default: %(default)s)"
    add_path(parser, "--out", "DIR", text, default=Path("hs2s-demo"))
    add_model_options(parser)
    parser.add_argument(
        "--dataset",
        default="hs2s-demo",
        metavar="NAME",
        help="name of the dataset in FiftyOne (default: %(default)s)",
    )
    add_switch(parser, "--app", "open the result in the FiftyOne App, and wait")
    add_count(parser, "--port", "port of the App (default: as FiftyOne is set up)")


def run(args: argparse.Namespace) -> int:
    """Make sure that FiftyOne can start, then run the demo."""
    from hs2s_core.media.encode import find_ffmpeg
    from hs2s_core.weights import find_weights

    from .. import doctor

    find_weights(args.weights)
    find_ffmpeg()
    # Without its database FiftyOne would fail far from the cause.
    mongodb = doctor.check_mongodb()
    if not mongodb.ok:
        raise HS2SError(f"{mongodb.found}. What to do: {mongodb.mend}")
    if args.out.exists() and not args.out.is_dir():
        raise HS2SError(f"{args.out}: is a file; expected a folder to write to.")
    from ..demo import run

    return run(args)
