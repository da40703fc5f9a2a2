"""The README's moving picture: the bundled clip, its first masks, and what was made of them.

python benchmarks/moving_picture.py assets/demo.webp
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from hs2s_core import draw_masks, load_model, open_frames, propagate, read_id_map, split_objects
from hs2s_core.media import RGBImage
from hs2s_core.media.overlay import enlarge, enlarge_ids
from hs2s_core.resources import asset

SCALE = 3
BAR = 36
"""Height of the line of text below the frame, in pixels."""
MILLISECONDS = 110
"""A frame is shown for that long; those that hold the masks and the end for longer."""


def main() -> None:
    """Write the picture; ``.webp`` and ``.gif`` are moving ones."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    clip = next((asset("demo") / "JPEGImages").iterdir())
    frames = open_frames(clip)
    first = read_id_map(asset("demo") / "Annotations" / clip.name / "00000.png")
    pictures, times = [captioned(enlarge(frames.at(0), SCALE), "a video")], [900]
    for result in propagate(load_model(), frames, {0: split_objects(first)}):
        drawn = draw_masks(
            enlarge(frames.at(result.index), SCALE), enlarge_ids(result.id_map, SCALE)
        )
        given = result.index == 0
        text = "given: masks in frame 0" if given else f"HS2S: frame {result.index}"
        pictures.append(captioned(drawn, text))
        times.append(1600 if given else MILLISECONDS)
    times[-1] = 1200
    pictures[0].save(
        out,
        save_all=True,
        append_images=pictures[1:],
        duration=times,
        loop=0,
        quality=72,
        method=6,
    )
    print(f"{out}: {out.stat().st_size / 2**20:.2f} MiB, {len(times)} frames")


def captioned(pixels: RGBImage, text: str) -> Image.Image:
    """A frame with a line of text below it."""
    frame = Image.fromarray(pixels)
    sheet = Image.new("RGB", (frame.width, frame.height + BAR), "white")
    sheet.paste(frame, (0, 0))
    ImageDraw.Draw(sheet).text(
        (8, frame.height + 6), text, fill=(32, 32, 32), font=ImageFont.load_default(20)
    )
    return sheet


if __name__ == "__main__":
    main()
