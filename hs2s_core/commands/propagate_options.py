"""The options of ``hs2s propagate``."""

from __future__ import annotations

import argparse
from pathlib import Path

from hs2s_core.commands.options import add_model_options, add_quiet

FPS = 24.0
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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``hs2s propagate``."""
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
        "--fps", type=float, help=f"speed of the overlay (default: the video's, else {FPS:g})"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace masks of an earlier run")


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
        "adds to those of last time or replaces them frame by frame",
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
