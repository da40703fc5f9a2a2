"""A camera or stream, frame by frame, as it comes: Propagator.step.

    python examples/live_stream.py 0 first.png                  # the first camera
    python examples/live_stream.py rtsp://... first.png --out overlay.mp4

``first.png`` is the mask of the first frame. Nothing but the state of each object is kept, however
long the stream is. Where the camera's driver allows it, frames that come while one is in work are
dropped, so that what is shown is not late.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2

from hs2s_core import Propagator, draw_masks, load_model, read_id_map, split_objects
from hs2s_core.media.encode import VideoWriter


def main(arguments: list[str] | None = None) -> int:
    """Returns how many frames were segmented."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", help="number of a camera, address of a stream, or a file")
    parser.add_argument("masks", type=Path)
    parser.add_argument("--out", type=Path, default=Path("overlay.mp4"))
    parser.add_argument("--frames", type=int, help="stop after so many")
    args = parser.parse_args(arguments)
    capture = cv2.VideoCapture(int(args.source) if args.source.isdigit() else args.source)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # of live sources: the newest frame, not the oldest
    masks = read_id_map(args.masks)
    propagator = Propagator(load_model())
    prompts = split_objects(masks)
    done, started = 0, time.perf_counter()
    with VideoWriter(args.out, masks.shape, capture.get(cv2.CAP_PROP_FPS) or 12) as writer:
        while done != args.frames:
            there, picture = capture.read()
            if not there:
                break
            frame = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
            result = propagator.step(frame, prompts if done == 0 else None)
            writer.write(draw_masks(frame, result.id_map))
            done += 1
            rate = done / (time.perf_counter() - started)
            sure = ", ".join(f"{key}: {score:.2f}" for key, score in result.scores.items())
            print(f"\rframe {done}, {rate:.1f} a second, confidence {sure}", end="", flush=True)
    print(f"\n{args.out}")
    return done


if __name__ == "__main__":
    main()
