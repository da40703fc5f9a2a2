"""Every video of a folder, each with its masks beside it; no FiftyOne, no database.

    python examples/batch_folder.py videos/ masks/ results/

``videos/dog.mp4`` takes ``masks/dog.png`` (of its first frame), or all of ``masks/dog/00000.png``,
``masks/dog/00040.png``. Videos that are done are skipped; one that fails does not stop the others.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hs2s_core import HS2SError, Prompts, load_model, open_frames, propagate, write_id_map

VIDEOS = {".mp4", ".mov", ".avi", ".mkv", ".webm"}


def main(arguments: list[str] | None = None) -> int:
    """Returns how many videos failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("videos", "masks", "results"):
        parser.add_argument(name, type=Path)
    args = parser.parse_args(arguments)
    model = load_model()
    failed = 0
    for video in sorted(path for path in args.videos.iterdir() if path.suffix.lower() in VIDEOS):
        out, part = args.results / video.stem, args.results / f".{video.stem}"
        if out.is_dir():
            print(f"{video.name}: done already")
            continue
        try:
            frames = open_frames(video)
            folder, picture = args.masks / video.stem, args.masks / f"{video.stem}.png"
            if folder.is_dir():
                prompts = Prompts.from_files(folder, frames)
            else:  # which is named after the video, maybe by a number
                prompts = Prompts.from_files(picture, frames, frame=0)
            for result in propagate(model, frames, prompts):
                write_id_map(part / f"{result.index:05d}.png", result.id_map)
            part.rename(out)  # complete, or not there
            print(f"{video.name}: objects {prompts.object_ids} -> {out}")
        except (HS2SError, OSError) as error:
            failed += 1
            print(f"{video.name}: {error}", file=sys.stderr)
    return failed


if __name__ == "__main__":
    sys.exit(min(main(), 1))
