"""``hs2s propagate --data``: every video of a split, each from its first masks."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hs2s_core.commands.options import check_new
from hs2s_core.commands.propagate_work import load, settings_of, steps_of, write_steps
from hs2s_core.errors import HS2SError
from hs2s_core.jobs import Done, Item, Tick, Work, drive, find_engine, run_job
from hs2s_core.jobs.meters import Meter
from hs2s_core.wording import counted, some

if TYPE_CHECKING:
    from hs2s_core.data.videos import VosFolder
    from hs2s_core.propagation.network import NetworkEngine


def run_split(args: argparse.Namespace, out: Path) -> int:
    """Every video of a split; 1 if one failed."""
    from hs2s_core.data.folders import open_folder
    from hs2s_core.data.results import (
        check_free,
        find_others,
        remove_torn,
        videos_root,
        write_zip,
    )

    folder = open_folder(args.data, args.split)
    root = videos_root(out, "davis" if folder.layout == "davis" else "youtube_vos")
    taken = (folder.annotations.resolve(), folder.images.resolve())
    if any(root.resolve().is_relative_to(place) for place in taken):
        raise HS2SError(f"{out}: holds what was given; expected another folder to write to.")
    for name in folder.names:
        check_free(root / name, overwrite=args.overwrite)
    target = out.with_name(f"{out.resolve().name}.zip")
    if args.zip:
        check_new(target, overwrite=args.overwrite)
    engine = find_engine(args.engine, args.workers)
    meter = Meter("video", quiet=args.quiet)
    items = [Item(name, name) for name in folder.names]
    steps = run_job(_SplitJob(args, folder, root), items, engine=engine)
    report = drive(steps, lambda step: meter(step.videos, len(items)))
    meter.end()
    for problem in report.failed:
        print(problem, file=sys.stderr)
    failed = {problem.name for problem in report.failed}
    for name in failed:
        remove_torn(root / name)
    done = [root / name for name in folder.names if name not in failed]
    print(f"{len(done)} of {counted(len(folder), 'video')} -> {out}")
    others = find_others(root, {place.name for place in done})
    if others:
        what = f"masks of {counted(len(others), 'video')} that this run did not write"
        print(f"{root}: also has {what}: {some(others)}", file=sys.stderr)
    if args.zip and done:
        write_zip(target, out, done)
        print(f"zip for the server -> {target}")
    return 1 if failed else 0


@dataclass(frozen=True)
class _SplitJob:
    """The videos of a split, as each process can open them."""

    args: argparse.Namespace
    folder: VosFolder
    root: Path

    def open(self) -> Callable[[Item], Work[Done]]:
        """Load the network, and prepare it for every video."""
        from hs2s_core.propagation.network import NetworkEngine

        return partial(self._video, NetworkEngine(load(self.args)))

    def _video(self, engine: NetworkEngine, item: Item) -> Work[Done]:
        from hs2s_core.media.frames import open_frames
        from hs2s_core.prompts import Prompts

        video = self.folder.video(item.name)
        prompts = Prompts.of(video.first_masks())
        frames = open_frames(video.frames)
        steps = steps_of(
            self.args, engine.sibling(), frames, prompts, settings_of(self.args, "forward")
        )
        count = 0
        for done, total, count in write_steps(self.args, steps, frames, self.root / item.name):
            yield Tick(done / (total or done), f"frame {count}", count)
        return Done(count)
