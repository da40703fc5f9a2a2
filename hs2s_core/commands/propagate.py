"""``hs2s propagate``: a video and masks of its objects in, a mask for every frame out."""

from __future__ import annotations

import argparse
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hs2s_core.commands import propagate_work as work
from hs2s_core.commands.options import add_model_options, add_overwrite, add_quiet
from hs2s_core.commands.propagate_split import run_split
from hs2s_core.errors import HS2SError
from hs2s_core.jobs.meters import Meter
from hs2s_core.wording import counted, some

if TYPE_CHECKING:
    from hs2s_core.media.source import FrameSource

USAGE = """hs2s propagate SOURCE MASKS OUT [options]
       hs2s propagate SOURCE --prompt FRAME=WHAT [--prompt ...] --out OUT [options]
       hs2s propagate --data ROOT --split NAME --out DIR [--zip] [options]"""
EXAMPLES = (
    "hs2s propagate clip.mp4 first.png masks/ --overlay overlay.mp4",
    "hs2s propagate frames/ keyframes/ masks/        # keyframes/00000.png, keyframes/00040.png",
    "hs2s propagate clip.mp4 --prompt 0=a.png --prompt 40=b.png --out masks/",
    "hs2s propagate clip.mp4 --prompt 0=10,20,110,220 --prompt 0=2:+300,80 --out masks/",
    "hs2s propagate clip.mp4 first.png masks/ --session work/",
    "hs2s propagate clip.mp4 --prompt 40=mended.png --out masks/ --overwrite --session work/",
    "hs2s propagate clip.mp4 --mend 70=2:+310,95:-290,40 --out masks/ --overwrite --session work/",
    "hs2s propagate clip.mp4 first.png masks/ --from 100 --to 200 --direction forward",
    "hs2s propagate --data YouTube-VOS/ --split valid --out submission/ --zip",
)
_OF_ONE_CLIP = (
    *("prompt", "mend", "frame", "first", "last", "cuts", "session"),
    *("overlay", "fps", "report"),
)
"""Options that do not go with --data."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = USAGE
    parser.add_argument(
        "places",
        nargs="*",
        type=Path,
        metavar="SOURCE MASKS OUT",
        help="a video or a folder of frames; a PNG of object ids (or black and white), or a folder "
        "of them named as the frames (of a video: by number from 0), every one of which counts; "
        "the folder for one palettised PNG each",
    )
    _add_what(parser)
    _add_how(parser)


def _add_what(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--prompt",
        action="append",
        type=_placed,
        default=[],
        metavar="FRAME=WHAT",
        help="what is given in a frame, from 0, as often as wanted, instead of MASKS: a PNG; a box "
        "[OBJECT:]x0,y0,x1,y1; points [OBJECT:]+x,y[:-x,y...] inside and outside; or a .json file "
        "of boxes and points. Boxes and points become masks by their colours (GrabCut)",
    )
    parser.add_argument(
        "--mend",
        action="append",
        type=_placed,
        default=[],
        metavar="FRAME=POINTS",
        help="with --session: points inside and outside, written as for --prompt, that put right "
        "what was predicted of an object in a frame, which then counts as a mask given there",
    )
    parser.add_argument("--out", type=Path, metavar="OUT", help="another way to say OUT")
    parser.add_argument(
        "--frame",
        type=int,
        metavar="N",
        help="the frame, from 0, that a single PNG belongs to (default: the one it is named "
        "after, else 0)",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="ROOT",
        help="a YouTube-VOS, DAVIS or plain folder, all of whose videos are propagated from the "
        "first mask of each object; written as the benchmark's server wants them",
    )
    parser.add_argument("--split", metavar="NAME", help="the split of ROOT, such as valid")
    parser.add_argument("--zip", action="store_true", help="with --data: also write OUT.zip")
    parser.add_argument(
        "--engine",
        choices=("inline", "process", "ray"),
        help="with --data: who does the videos: this process, several, or a Ray cluster (default: "
        "this process, or several where --workers says so)",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=1,
        metavar="N",
        help="with --data: videos at once, each with a model of its own (default: 1)",
    )
    parser.add_argument(
        "--from", dest="first", type=int, metavar="N", help="the first frame wanted (default: 0)"
    )
    parser.add_argument(
        "--to", dest="last", type=int, metavar="N", help="the last one (default: the clip's)"
    )
    parser.add_argument(
        "--overlay", type=Path, metavar="FILE.mp4", help="also write the masks over the video"
    )
    parser.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="also write, as .csv or .json, how sure each mask is, by object and frame; like "
        "--session, it lets the command name the frame to correct next",
    )
    parser.add_argument(
        "--fps", type=float, help=f"speed of the overlay (default: the video's, else {work.FPS:g})"
    )
    add_overwrite(parser, "masks of an earlier run, and files that exist")


def _add_how(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--direction",
        choices=("both", "forward", "backward"),
        help="where objects are followed from their masks (default: both; forward with --data)",
    )
    parser.add_argument(
        "--cuts",
        choices=("report", "stop"),
        help="look for cuts between shots first, and say where they are, or also let no object be "
        "followed across one (default: neither)",
    )
    parser.add_argument(
        "--merge",
        choices=("argmax", "soft"),
        default="argmax",
        help="how objects compete for pixels: by probability (default) or by normalised odds",
    )
    add_model_options(parser)
    parser.add_argument(
        "--speed",
        default="auto",
        choices=("auto", "exact", "fast"),
        help="exact: float32; fast: half precision where the device has it, in which few pixels "
        "of a mask differ; auto (default): fast where that is faster",
    )
    parser.add_argument(
        "--threads",
        type=int,
        metavar="N",
        help="threads of the CPU (default: as many as there are free cores)",
    )
    parser.add_argument(
        "--online-steps",
        type=int,
        default=0,
        metavar="N",
        help="first train the network for N steps on the given masks (slow; default: 0)",
    )
    parser.add_argument(
        "--chunk",
        type=int,
        default=16,
        metavar="N",
        help="frames that a bidirectional network (Bi-HS2S) reads ahead at once: more help it and "
        "take memory; other networks read none ahead (default: 16)",
    )
    parser.add_argument(
        "--session",
        type=Path,
        metavar="DIR",
        help="keep what is computed in DIR: the same command goes on after a stop, and with other "
        "masks only what they change is computed again; MASKS then are all that count, --prompt "
        "adds to those of last time or replaces them frame by frame; with --out OUT alone, those "
        "of last time count",
    )
    add_quiet(parser)


def _placed(word: str) -> tuple[int, str]:
    number, equals, what = word.partition("=")
    if not equals or not what or not (number.isascii() and number.isdigit()):
        raise argparse.ArgumentTypeError(
            f"{word!r}; expected FRAME=WHAT with a frame's number from 0, such as 40=mask.png or "
            "40=10,20,110,220"
        )
    return int(number), what


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
        given = any(getattr(args, each) not in (None, []) for each in _OF_ONE_CLIP)
        if places or out is None or given:
            raise HS2SError(f"with --data, expected\n       {USAGE.splitlines()[-1].strip()}")
        return run_split(args, out)
    if args.split is not None or args.zip or args.engine is not None or args.workers != 1:
        raise HS2SError(
            "--split, --zip, --engine and --workers go with --data ROOT, a folder of many videos"
        )
    if args.fps is not None and args.overlay is None:
        raise HS2SError("--fps is the speed of an --overlay; name its file, too")
    kept = args.session is not None and args.out is not None and len(places) == 1
    wanted = 1 if args.prompt or args.mend or kept else 2
    if out is None or len(places) != wanted:
        found = " ".join(map(str, args.places)) or "nothing"
        raise HS2SError(f"found {found}; expected\n       {USAGE}")
    return _run_clip(args, places[0], None if wanted == 1 else places[1], out)


def _run_clip(args: argparse.Namespace, source: Path, masks: Path | None, out: Path) -> int:
    from hs2s_core.media.frames import open_frames
    from hs2s_core.propagation.network import NetworkEngine

    frames = open_frames(source)
    work.check_places(args, source, masks, out)
    prompts = work.read_given(args, masks, frames)
    engine = NetworkEngine(work.load(args))
    started = time.perf_counter()
    meter, count = Meter("frame", quiet=args.quiet), 0
    settings = replace(work.settings_of(args, "both"), cuts=_cuts(args, frames))
    with ExitStack() as stack:
        if args.session is not None:
            from hs2s_core.propagation.session import Session, identify

            identity = identify(engine, frames.at(0))
            session = Session(args.session, engine, identity=identity, settings=settings)
            stack.enter_context(session)
            if masks is None:  # what is given replaces, or joins, the masks of last time
                given, prompts = prompts, session.prompts
                for prompt in given.each():
                    prompts = prompts.put(prompt)
            session.correct(prompts)
            for frame, word in args.mend:
                for object_id, hint in work.hints_of(word):
                    session.mend(frames, frame, object_id, hint)
            steps = session.run(frames)
        else:
            steps = work.steps_of(args, engine, frames, prompts, settings)
        for done, total, written in work.write_steps(args, steps, frames, out):
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
