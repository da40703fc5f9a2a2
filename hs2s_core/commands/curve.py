"""``hs2s curve``: draw the learning curve of a training run from its log."""

from __future__ import annotations

import argparse

from hs2s_core.commands.options import add_count, add_overwrite, add_path, check_new
from hs2s_core.wording import counted

EXAMPLES = (
    "hs2s curve runs/mine curve.png",
    "hs2s curve runs/mine/log.jsonl curve.svg --smooth 200",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_path(parser, "run", "RUN", "folder of a training run, or its log.jsonl")
    add_path(parser, "out", "OUT.png", "picture to write (PNG, SVG or PDF)")
    add_count(parser, "--smooth", "steps averaged (default: 50)", default=50)
    add_overwrite(parser)


def run(args: argparse.Namespace) -> int:
    """Draw loss, its terms, learning rate, sampling and, where it was measured, J&F."""
    from hs2s_core.training.curve import draw_curve, read_log

    records = read_log(args.run / "log.jsonl" if args.run.is_dir() else args.run)
    check_new(args.out, overwrite=args.overwrite)
    draw_curve(records, args.out, smooth=args.smooth)
    print(f"{counted(len(records), 'step')} -> {args.out}")
    return 0
