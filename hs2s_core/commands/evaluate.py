"""``hs2s evaluate``: J and F of a folder of predictions against a folder of annotations."""

from __future__ import annotations

import argparse
import dataclasses

from hs2s_core.commands.options import (
    add_choice,
    add_count,
    add_overwrite,
    add_path,
    add_quiet,
    add_switch,
    check_new,
)
from hs2s_core.evaluation.identities import MATCHES
from hs2s_core.evaluation.protocol import PROTOCOLS, Protocol
from hs2s_core.jobs.engines import cores
from hs2s_core.jobs.meters import Meter
from hs2s_core.wording import counted

EXAMPLES = (
    "hs2s evaluate masks/ DAVIS/ --videos DAVIS/ImageSets/2017/val.txt",
    "hs2s evaluate masks/ valid/ --protocol youtube_vos --train-meta train/meta.json",
    "hs2s evaluate masks/ truth/ --match overlap --objects --out rows.csv",
)
PAGE = "evaluation.md"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    described = (f"  {protocol.description}" for protocol in PROTOCOLS.values())
    parser.epilog = "\n".join(["protocols:", *described])
    add_path(parser, "predictions", "PRED_DIR", "<video>/<frame>.png")
    text = "annotations in the same layout; Annotations/ and Annotations/480p/ are found too"
    add_path(parser, "truth", "GT_DIR", text)
    add_choice(parser, "--protocol", PROTOCOLS, "default: davis2017", default="davis2017")
    add_path(parser, "--out", "FILE", "table of all frames: .csv, .parquet or .json")
    add_overwrite(parser)
    add_count(parser, "--workers", "processes (default %(default)s)", default=cores())
    add_switch(parser, "--objects", "print objects instead of videos")
    text = "evaluate only the videos named in FILE, one a line or as in DAVIS's ImageSets"
    add_path(parser, "--videos", "FILE", text)
    text = "; ".join(f"{name}: {meaning}" for name, meaning in MATCHES.items())
    add_choice(parser, "--match", MATCHES, text, default="ids")
    add_path(parser, "--meta", "JSON", "meta.json, if it is not beside the annotations")
    text = "meta.json of the training set: its categories are the seen ones"
    add_path(parser, "--train-meta", "JSON", text)
    for flag, what in (
        ("--first-frame", "the video's first frame"),
        ("--prompt-frame", "the frame an object was given in"),
        ("--last-frame", "the video's last frame"),
    ):
        parser.add_argument(
            flag,
            action=argparse.BooleanOptionalAction,
            help=f"count {what}, or not (default: as the protocol says)",
        )
    add_quiet(parser)


def run(args: argparse.Namespace) -> int:
    """Evaluate and print; 0 if every video could be evaluated, 1 if one failed.

    Unusable folders, files and arguments are raised as HS2SError before any frame is read.
    """
    from hs2s_core.data.splits import read_names
    from hs2s_core.evaluation.export import check_output
    from hs2s_core.evaluation.folders import evaluate_folders
    from hs2s_core.evaluation.report import format_table

    if args.out is not None:
        check_output(args.out)
        check_new(args.out, overwrite=args.overwrite)
    meter = Meter("video", quiet=args.quiet)
    table = evaluate_folders(
        args.predictions,
        args.truth,
        _protocol(args),
        args.workers,
        meta=args.meta,
        train_meta=args.train_meta,
        videos=None if args.videos is None else read_names(args.videos),
        match=args.match,
        progress=lambda step: meter(step.videos, step.total),
    )
    meter.end()
    # The file first, so that nothing that goes wrong later costs a finished evaluation; and the
    # report also where the file cannot be written.
    try:
        if args.out is not None:
            table.write(args.out)
    finally:
        print(format_table(table, objects=args.objects))
    if args.out is not None:
        print(f"{counted(len(table.rows), 'row')} written to {args.out}")
    return 1 if table.failures else 0


def _protocol(args: argparse.Namespace) -> Protocol:
    """Apply the flags to the protocol; a variant gets a name of its own, as ``name+last_frame``."""
    protocol = PROTOCOLS[args.protocol]
    name = protocol.name
    for part in ("first_frame", "prompt_frame", "last_frame"):
        wanted = getattr(args, part)
        if wanted is not None and wanted != getattr(protocol, part):
            protocol = dataclasses.replace(protocol, **{part: wanted})
            name += f"{'+' if wanted else '-'}{part}"
    return dataclasses.replace(protocol, name=name)
