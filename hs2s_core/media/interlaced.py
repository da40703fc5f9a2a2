"""Whether a video holds two half pictures in each frame, which OpenCV may not be able to decode.

OpenCV 4.13 and 4.14 leave such frames as their memory was, black or full of noise, and report
success. What they do give is alike from frame to frame, which tells where to look.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import numpy as np

from hs2s_core.errors import InvalidMedia
from hs2s_core.media.encode import find_ffmpeg
from hs2s_core.media.images import RGBImage

_FRAME = re.compile(r"\bi:([PTB])\b")
"""How a frame is scanned: progressive, or which field comes first."""
_FEW = 1000
"""Frames that are looked at, at most: FFmpeg has to decode them."""


def are_alike(one: RGBImage, other: RGBImage) -> bool:
    """Whether two pictures are the same; quick where they are not."""
    return bool((one[::16, ::16] == other[::16, ::16]).all()) and np.array_equal(one, other)


def is_interlaced(path: Path, count: int) -> bool:
    """Whether one of the first frames is interlaced; false where FFmpeg cannot tell."""
    try:
        command = [find_ffmpeg(), "-nostdin", "-hide_banner", "-i", os.path.abspath(path)]
    except InvalidMedia:
        return False
    command += ["-map", "0:v:0", "-frames:v", str(min(count, _FEW))]
    command += ["-vf", "showinfo=checksum=0", "-f", "null", "-"]
    told = subprocess.run(command, capture_output=True, check=False).stderr
    return any(scan != "P" for scan in _FRAME.findall(told.decode(errors="replace")))
