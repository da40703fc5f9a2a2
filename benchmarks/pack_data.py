"""Copy the data of a training run, made small enough to travel to another machine.

    python benchmarks/pack_data.py configs/hs2s-lite-gpu.toml --root DATA --out PACKED

Takes the stills and folders that the run names, scored ones too, with the file of splits. Frames
and photos become WebP files, of the highest quality with which all is below the limit; masks and
other files stay as they are. ``hs2s train --config ... --root PACKED`` trains on the copy.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2

from hs2s_core.training.run_file import read_config

QUALITIES = (90, 75, 60, 45, 30, 20)
PICTURES = (".jpg", ".jpeg")


def main() -> None:
    """Pack, and say how large it became."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("--root", type=Path, required=True, help="the data")
    parser.add_argument("--out", type=Path, required=True, help="a new folder for the copy")
    parser.add_argument("--limit", type=float, default=48.0, help="MB that the copy may have")
    arguments = parser.parse_args()
    if arguments.out.exists():
        parser.error(f"{arguments.out} exists; name a folder that does not")
    files = sorted(set(files_of(arguments.config, arguments.root)))
    for quality in QUALITIES:
        size = pack(files, arguments.root, arguments.out, quality)
        print(f"quality {quality}: {size / 1e6:.1f} MB in {len(files)} files", flush=True)
        if size <= arguments.limit * 1e6:
            return
    shutil.rmtree(arguments.out)
    parser.error(f"not below {arguments.limit} MB even so; name fewer sets in {arguments.config}")


def files_of(config: Path, root: Path) -> Iterator[Path]:
    """Every file under ``root`` that the run of ``config`` may read."""
    run = read_config(config, root=root)
    scored = run.validation.folders if run.validation else ()
    folders = [entry.path for entry in (*run.data.folders, *scored)]
    folders += [root.resolve() / name for name in run.data.stills]
    if run.data.splits is not None:
        yield run.data.splits.resolve()
    for folder in folders:
        if not folder.resolve().is_relative_to(root.resolve()):
            raise SystemExit(f"{folder} is outside {root}; only what lies below it is packed")
        if not folder.is_dir():
            raise SystemExit(f"{folder}: no such folder; {config} names it")
        yield from (path.resolve() for path in folder.rglob("*") if path.is_file())


def pack(files: list[Path], root: Path, out: Path, quality: int) -> int:
    """Write the copies to ``out`` and return their size, in bytes."""
    size = 0
    for path in files:
        target = out / path.relative_to(root.resolve())
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() in PICTURES:
            target = target.with_suffix(".webp")
            picture = cv2.imread(str(path))
            if not cv2.imwrite(str(target), picture, [cv2.IMWRITE_WEBP_QUALITY, quality]):
                raise SystemExit(f"{target}: cannot be written as WebP")
        else:
            shutil.copyfile(path, target)
        size += target.stat().st_size
    return size


if __name__ == "__main__":
    main()
