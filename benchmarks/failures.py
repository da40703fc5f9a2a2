"""Where weights fail: of each video the frame with the worst object, the truth above.

    python benchmarks/failures.py OUT.jpg FOLDER[:VIDEO,...] ... [--weights FILE]

Videos, prompts and scores are those of quality.py; the pictures' captions name the worst object
(J&F in per cent). Only frames that may be shown belong into OUT.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from named_videos import named_videos
from PIL import Image

from hs2s_core.data.videos import VosVideo
from hs2s_core.media import RGBImage
from hs2s_core.media.frames import open_frames
from hs2s_core.media.masks import IdMap
from hs2s_core.media.overlay import Row, contact_sheet, draw_masks
from hs2s_core.prompts import PlainPrompts
from hs2s_core.propagation import FrameResult, propagate
from hs2s_core.training.validation import Method, score_video
from hs2s_core.weights import DEFAULT, load_model

HEIGHT = 240


class Failure(NamedTuple):
    """The worst object of a video, in its worst frame."""

    text: str
    truth: RGBImage
    found: RGBImage


def main() -> None:
    """Write the picture, and print what it shows."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--weights", default=DEFAULT)
    parser.add_argument("--frames", type=int, default=60, help="first frames of each video")
    arguments = parser.parse_args()
    model = load_model(arguments.weights, device="cpu", speed="exact")
    method = partial(propagate, model, direction="forward")
    found = [worst(method, video, arguments.frames) for _, video in named_videos(arguments.folders)]
    rows = [
        Row("truth", [each.truth for each in found], [""] * len(found)),
        Row("HS2S-lite", [each.found for each in found], [each.text for each in found]),
    ]
    Image.fromarray(contact_sheet(rows)).save(arguments.out, quality=85)
    for each in found:
        print(each.text)


def worst(method: Method, video: VosVideo, frames: int) -> Failure:
    """Propagate a video, and draw the frame in which an object has its lowest J&F."""
    kept: dict[int, IdMap] = {}

    def keep(clip: Iterable[RGBImage], prompts: PlainPrompts) -> Iterator[FrameResult]:
        for result in method(clip, prompts):
            kept[result.index] = result.id_map
            yield result

    rows = score_video(keep, video, frames=frames).rows
    row = min((row for row in rows if row.counted), key=lambda row: row.j + row.f)
    truth = video.read_id_map(row.frame)
    assert truth is not None
    text = f"{video.name}, frame {row.frame}, object {row.object}: {50 * (row.j + row.f):.0f}"
    image = open_frames(video.frames).at(row.frame)
    return Failure(text, drawn(image, truth), drawn(image, kept[row.frame]))


def drawn(image: RGBImage, id_map: IdMap) -> RGBImage:
    """Masks over a frame, at one height."""
    masked = draw_masks(image, id_map)
    width = round(HEIGHT * masked.shape[1] / masked.shape[0])
    return np.asarray(cv2.resize(masked, (width, HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)


if __name__ == "__main__":
    main()
