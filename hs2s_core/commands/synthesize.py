"""``hs2s synthesize``: labelled clips made from stills, to look at or to train and validate on."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from hs2s_core.commands.options import add_count, add_path, add_quiet
from hs2s_core.errors import HS2SError, InvalidConfig
from hs2s_core.files import replacing
from hs2s_core.jobs.meters import Meter
from hs2s_core.wording import counted

if TYPE_CHECKING:
    from hs2s_core.data.stills import StillSet
    from hs2s_core.data.synthesis import Clip

QUALITY = 95
"""Of the JPEG frames."""
SHEET_CLIPS, SHEET_FRAMES, SHEET_WIDTH = 6, 6, 240

EXAMPLES = (
    "hs2s synthesize stills/ --out clips/ --sheet clips.png",
    "hs2s synthesize stills/set/ --out clips/ --clips 200 --frames 12 --size 120 216",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_path(
        parser,
        "stills",
        "STILLS",
        "a set of stills: images/*.jpg or *.png with masks/<same name>.png (region ids); or a "
        "folder of such sets",
    )
    add_path(parser, "--out", "DIR", "folder to make; must not exist", required=True)
    parser.add_argument("--sets", nargs="+", help="sets to use (default: all)")
    parser.add_argument(
        "--splits",
        nargs=2,
        metavar=("FILE", "KEY"),
        help="JSON file and the key in it that lists the stills to use: {set: [names]}",
    )
    add_count(parser, "--clips", "default: 60", default=60)
    add_count(parser, "--frames", "per clip (default: 8)", default=8)
    parser.add_argument(
        "--size", type=int, nargs=2, default=(240, 432), metavar=("H", "W"), help="in pixels"
    )
    add_count(parser, "--seed", "equal seeds make equal clips", default=0)
    add_path(parser, "--sheet", "PICTURE", "also draw a contact sheet of the first clips")
    add_quiet(parser)


def run(args: argparse.Namespace) -> int:
    """Write JPEGImages and Annotations of every clip."""
    import numpy as np
    from PIL import Image

    from hs2s_core.data.synthesis import Synthesizer
    from hs2s_core.media.masks import write_id_map

    if args.out.exists():
        raise HS2SError(f"{args.out} exists; name a folder that does not, or remove it")
    if args.sheet is not None:
        _check_sheet(args.sheet)
    if min(args.clips, args.frames, *args.size) < 1:
        raise InvalidConfig("clips, frames and size must be at least 1")
    if args.seed < 0:
        raise InvalidConfig(f"--seed is {args.seed}; expected a whole number of at least 0")
    synthesizer = Synthesizer(_stills(args))
    sheet = []
    meter = Meter("clip", quiet=args.quiet)
    for number in range(args.clips):
        rng = np.random.default_rng([args.seed, number])
        clip = synthesizer.draw(rng, tuple(args.size), args.frames)
        for kind in ("JPEGImages", "Annotations"):
            (args.out / kind / f"{number:05}").mkdir(parents=True)
        for t, (frame, id_map) in enumerate(zip(clip.frames, clip.id_maps, strict=True)):
            path = args.out / "JPEGImages" / f"{number:05}" / f"{t:05}.jpg"
            Image.fromarray(frame).save(path, quality=QUALITY)
            write_id_map(args.out / "Annotations" / f"{number:05}" / f"{t:05}.png", id_map)
        if args.sheet and number < SHEET_CLIPS:
            sheet.append(clip)
        meter(number + 1, args.clips)
    meter.end()
    if args.sheet:
        _draw_sheet(sheet, args.sheet)
    print(f"{counted(args.clips, 'clip')} of {counted(args.frames, 'frame')} -> {args.out}")
    return 0


def _check_sheet(path: Path) -> None:
    """Refuse a picture that exists, or of no kind, before its clips are made."""
    from PIL import Image

    if path.exists():
        raise HS2SError(f"{path} exists; name a picture that does not, or remove it")
    if path.suffix.lower() not in Image.registered_extensions():
        raise HS2SError(f"{path}: no kind of picture; expected a name in .png or .jpg")


def _draw_sheet(clips: list[Clip], path: Path) -> None:
    """A line per clip: frames from its first to its last, with the masks on them."""
    import cv2
    from PIL import Image

    from hs2s_core.media.masks import object_ids
    from hs2s_core.media.overlay import Row, contact_sheet, draw_masks
    from hs2s_core.media.strip import evenly

    rows = []
    for number, clip in enumerate(clips):
        shown = evenly(len(clip.frames), SHEET_FRAMES)
        drawn = (draw_masks(clip.frames[t], clip.id_maps[t], opacity=0.35) for t in shown)
        size = SHEET_WIDTH, round(clip.frames.shape[1] * SHEET_WIDTH / clip.frames.shape[2])
        pictures = [cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in drawn]
        objects = len(object_ids(clip.id_maps.reshape(1, -1)))
        title = f"clip {number}: {counted(objects, 'object')}"
        rows.append(Row(title, pictures, [f"frame {t}" for t in shown]))
    with replacing(path) as part:
        kind = Image.registered_extensions()[path.suffix.lower()]
        Image.fromarray(contact_sheet(rows, text_size=12)).save(part, kind)


def _stills(args: argparse.Namespace) -> StillSet:
    from hs2s_core.data.splits import read_split
    from hs2s_core.data.stills import StillSet

    names = read_split(*args.splits) if args.splits else None
    root = args.stills.resolve()
    if (root / "images").is_dir():
        root, found = root.parent, [root.name]
    else:
        found = sorted(folder.parent.name for folder in root.glob("*/images"))
    if not found:
        raise HS2SError(
            f"{args.stills} holds no set of stills; expected images/ and masks/<same name>.png in "
            "it, or in folders of it"
        )
    sets = args.sets or (found if names is None else [name for name in found if name in names])
    return StillSet(root, sets or found, names)
