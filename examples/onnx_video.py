"""A video through ONNX Runtime, without PyTorch: one object, from its mask in the first frame.

hs2s weights onnx hs2s-lite graphs/ --frame 854x480     # once, and with PyTorch
python examples/onnx_video.py graphs/ clip.mp4 first.png masks/
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import onnxruntime


def main(arguments: list[str] | None = None) -> int:
    """Returns how many masks were written: black and white PNGs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("graphs", "video", "first", "out"):
        parser.add_argument(name, type=Path)
    args = parser.parse_args(arguments)
    out, capture, first = args.out, cv2.VideoCapture(str(args.video)), cv2.imread(str(args.first))
    if first is None or not capture.isOpened():
        parser.error(f"{args.video if first is not None else args.first}: cannot be read")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        parser.error(f"{out}: exists already; expected a new folder for the masks")
    graphs = [args.graphs / name for name in ("begin.onnx", "step.onnx")]
    begin, step = (onnxruntime.InferenceSession(graph) for graph in graphs)
    states = [each.name for each in begin.get_outputs()]
    height, width = begin.get_inputs()[0].shape[:2]
    given = first.any(2).astype(np.float32)  # whatever is not black
    small = cv2.resize(given, (width, height), interpolation=cv2.INTER_AREA)[None, None]
    out.mkdir(parents=True, exist_ok=True)
    state, number = None, 0
    while (picture := capture.read()[1]) is not None:
        frame = cv2.resize(picture[..., ::-1], (width, height), interpolation=cv2.INTER_AREA)
        if state is None:
            mask, state = given, begin.run(None, {"frame": frame, "mask": small})
        else:
            known = dict(zip(states, state, strict=True))
            small, *state = step.run(None, {"frame": frame, "mask": small, **known})
            mask = cv2.resize(small[0, 0], given.shape[::-1])
        cv2.imwrite(str(out / f"{number:05d}.png"), np.uint8(mask > 0.5) * 255)
        number += 1
    return number


if __name__ == "__main__":
    main()
