"""``hs2s propagate``: a video and masks of its objects in, a mask for every frame out."""

from __future__ import annotations

import argparse
from pathlib import Path

from hs2s_core.commands.options import (
    OVERLAY_FPS,
    add_choice,
    add_count,
    add_model_options,
    add_overwrite,
    add_path,
    add_quiet,
    add_switch,
)
from hs2s_core.errors import HS2SError

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
    add_path(parser, "--out", "OUT", "another way to say OUT")
    add_count(
        parser,
        "--frame",
        "the frame, from 0, that a single PNG belongs to (default: the one it is named after, else "
        "0)",
    )
    add_path(
        parser,
        "--data",
        "ROOT",
        "a YouTube-VOS, DAVIS or plain folder, all of whose videos are propagated from the first "
        "mask of each object; written as the benchmark's server wants them",
    )
    parser.add_argument("--split", metavar="NAME", help="the split of ROOT, such as valid")
    add_switch(parser, "--zip", "with --data: also write OUT.zip")
    add_choice(
        parser,
        "--engine",
        ("inline", "process", "ray"),
        "with --data: who does the videos: this process, several, or a Ray cluster (default: this "
        "process, or several where --workers says so)",
    )
    text = "with --data: videos at once, each with a model of its own (default: 1)"
    add_count(parser, "--workers", text, default=1)
    add_count(parser, "--from", "the first frame wanted (default: 0)", dest="first")
    add_count(parser, "--to", "the last one (default: the clip's)", dest="last")
    add_path(parser, "--overlay", "FILE.mp4", "also write the masks over the video")
    add_path(
        parser,
        "--report",
        "FILE",
        "also write, as .csv or .json, how sure each mask is, by object and frame; like --session, "
        "it lets the command name the frame to correct next",
    )
    parser.add_argument(
        "--fps",
        type=float,
        help=f"speed of the overlay (default: the video's, else {OVERLAY_FPS:g})",
    )
    add_overwrite(parser, "masks of an earlier run, and files that exist")


def _add_how(parser: argparse.ArgumentParser) -> None:
    text = "where objects are followed from their masks (default: both; forward with --data)"
    add_choice(parser, "--direction", ("both", "forward", "backward"), text)
    add_choice(
        parser,
        "--cuts",
        ("report", "stop"),
        "look for cuts between shots first, and say where they are, or also let no object be "
        "followed across one (default: neither)",
    )
    text = "how objects compete for pixels: by probability (default) or by normalised odds"
    add_choice(parser, "--merge", ("argmax", "soft"), text, default="argmax")
    add_model_options(parser)
    add_choice(
        parser,
        "--speed",
        ("auto", "exact", "fast"),
        "exact: float32; fast: half precision where the device has it, in which few pixels of a "
        "mask differ; auto (default): fast where that is faster",
        default="auto",
    )
    text = "threads of the CPU (default: as many as there are free cores)"
    add_count(parser, "--threads", text)
    text = "first train the network for N steps on the given masks (slow; default: 0)"
    add_count(parser, "--online-steps", text, default=0)
    add_count(
        parser,
        "--chunk",
        "frames that a bidirectional network (Bi-HS2S) reads ahead at once: more help it and take "
        "memory; other networks read none ahead (default: 16)",
        default=16,
    )
    add_path(
        parser,
        "--session",
        "DIR",
        "keep what is computed in DIR: the same command goes on after a stop, and with other masks "
        "only what they change is computed again; MASKS then are all that count, --prompt adds to "
        "those of last time or replaces them frame by frame; with --out OUT alone, those of last "
        "time count",
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
        from hs2s_core.commands.propagate_work import run_split

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
    from hs2s_core.commands.propagate_work import run_clip

    return run_clip(args, places[0], None if wanted == 1 else places[1], out)
