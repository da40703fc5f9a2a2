"""``hs2s propagate``: a video and masks of its objects in, a mask for every frame out."""

from __future__ import annotations

import argparse
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hs2s_core.commands.propagate_given import check_places, hints_of, joined, read_given
from hs2s_core.commands.propagate_options import EXAMPLES, USAGE, add_arguments
from hs2s_core.commands.propagate_split import run_split
from hs2s_core.commands.propagate_work import load, settings_of, steps_of, write_steps
from hs2s_core.errors import HS2SError
from hs2s_core.meters import Meter
from hs2s_core.wording import counted, some

__all__ = ["EXAMPLES", "add_arguments", "run"]

if TYPE_CHECKING:
    from hs2s_core.media.source import FrameSource


def run(args: argparse.Namespace) -> int:
    """Propagate, frame by frame; everything that can be wrong is found before the first."""
    for name, least in (("chunk", 1), ("threads", 1), ("online_steps", 0), ("first", 0)):
        value = getattr(args, name)
        if value is not None and value < least:
            flag = "from" if name == "first" else name.replace("_", "-")
            raise HS2SError(f"--{flag} is {value}; expected at least {least}")
    if args.session is not None and args.online_steps:
        raise HS2SError("--session and --online-steps do not go together: each trains anew")
    if args.mend and args.session is None:
        raise HS2SError(
            "--mend puts right what an earlier run predicted, so it goes with that run's --session"
        )
    places = list(args.places)
    out = args.out if args.out is not None else places.pop() if places else None
    if args.data is not None:
        return run_split(args, places, out)
    if args.split is not None or args.zip:
        raise HS2SError("--split and --zip go with --data ROOT, a folder of many videos")
    wanted = 1 if args.prompt or args.mend else 2
    if out is None or len(places) != wanted:
        found = " ".join(map(str, args.places)) or "nothing"
        raise HS2SError(f"found {found}; expected\n       {USAGE}")
    return _run_clip(args, places[0], None if wanted == 1 else places[1], out)


def _run_clip(args: argparse.Namespace, source: Path, masks: Path | None, out: Path) -> int:
    from hs2s_core.media.frames import open_frames
    from hs2s_core.propagation.network import NetworkEngine

    frames = open_frames(source)
    check_places(args, source, masks, out)
    prompts = read_given(args, masks, frames)
    engine = NetworkEngine(load(args))
    started = time.perf_counter()
    meter, count = Meter("frame", quiet=args.quiet), 0
    settings = replace(settings_of(args, "both"), cuts=_cuts(args, frames))
    with ExitStack() as stack:
        if args.session is not None:
            from hs2s_core.propagation.session import Session, identify

            identity = identify(engine, frames.at(0))
            session = Session(args.session, engine, identity=identity, settings=settings)
            stack.enter_context(session)
            prompts = joined(None if masks is not None else session.prompts, prompts)
            session.correct(prompts)
            for frame, word in args.mend:
                for object_id, hint in hints_of(word):
                    session.mend(frames, frame, object_id, hint)
            steps = session.run(frames)
        else:
            steps = steps_of(args, engine, frames, prompts, settings)
        for done, total, written in write_steps(args, steps, frames, out):
            meter(done, total)
            count = written
        meter.end()
    seconds = time.perf_counter() - started
    objects = len(prompts.object_ids)
    print(
        f"{counted(objects, 'object')} through {counted(count, 'frame')} in "
        f"{seconds:.1f} s ({count / seconds:.1f} frames per second) -> {out}"
    )
    if args.overlay is not None:
        print(f"overlay -> {args.overlay}")
    if args.report is not None:
        print(f"report -> {args.report}")
    _suggest(args)
    return 0


def _cuts(args: argparse.Namespace, frames: FrameSource) -> tuple[int, ...]:
    """The cuts at which nothing is followed further; says where they are, if that is wanted."""
    if args.cuts is None:
        return ()
    from hs2s_core.media.cuts import find_cuts

    cuts = tuple(find_cuts(frames))
    print(f"cuts: {'frames ' if cuts else ''}{some(map(str, cuts), 20)}")
    return cuts if args.cuts == "stop" else ()


def _suggest(args: argparse.Namespace) -> None:
    """Name the frame to correct next, where it is known."""
    from hs2s_core.propagation.signs import read_signs, suggest_frames

    known = args.report or (args.session and args.session / "signs.csv")
    for frame, object_id, _ in suggest_frames(read_signs(known)) if known else ():
        print(f"to correct next: frame {frame}, where object {object_id} is most in doubt")
