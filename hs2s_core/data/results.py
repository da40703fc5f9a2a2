"""Predicted masks on disk: a palettised PNG a frame, in folders and zips as servers take them."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from PIL import Image

from hs2s_core.errors import HS2SError
from hs2s_core.files import alone, hidden_name, replacing
from hs2s_core.media.images import is_hidden, list_folders

LAYOUTS = {
    "youtube_vos": "YouTube-VOS: Annotations/<video>/<frame>.png",
    "davis": "DAVIS: <video>/<frame>.png",
}
"""Layout -> what it looks like. The DAVIS server refuses a zip with a folder above the videos."""

_EPOCH = (1980, 1, 1, 0, 0, 0)
_MODES = ("P", "I;16", "I;16B")
"""How masks are written; a PNG of another mode is somebody's picture."""


def videos_root(out_dir: Path, layout: str) -> Path:
    """The folder whose folders are videos."""
    return out_dir / ("Annotations" if layout == "youtube_vos" else "")


def check_free(folder: Path, *, overwrite: bool) -> None:
    """Refuse a folder in which masks of a run would mix with others, or take a picture's place.

    Raises:
        HS2SError: a file in the way; PNGs where nothing may be overwritten, or that are no masks;
            nothing can be written there.
    """
    if folder.exists() and not folder.is_dir():
        raise HS2SError(f"{folder}: is a file; expected a folder to write masks to.")
    if folder.is_symlink() and not folder.exists():
        raise HS2SError(
            f"{folder}: is a link to {os.readlink(folder)}, which is not there; expected a folder "
            "to write masks to."
        )
    check_writable(folder)
    for path in _pictures(folder):
        if not overwrite:
            raise HS2SError(
                f"{folder}: holds masks already, such as {path.name}; give another folder, or "
                "--overwrite to replace them."
            )
        if not _is_mask(path):
            raise HS2SError(
                f"{path}: is no mask of an earlier run, so it is not overwritten; give another "
                "folder."
            )


def find_others(root: Path, written: Collection[str]) -> list[str]:
    """The folders of ``root`` that have masks, of earlier runs, and were not ``written`` now."""
    found = list_folders(root) if root.is_dir() else []
    return [each.name for each in found if each.name not in written and _pictures(each)]


def check_writable(folder: Path) -> None:
    """Raise HS2SError where a folder, maybe one to be made, cannot be written to.

    That is tried, as rights alone do not say it of a disk that is mounted read-only.
    """
    for place in {_nearest(folder.absolute()), _nearest(folder.absolute().parent)}:
        try:
            with tempfile.TemporaryDirectory(prefix=".hs2s-", dir=place):
                pass
        except OSError as error:
            raise HS2SError(
                f"{folder}: cannot be written to ({place}: {error.strerror}); give another folder."
            ) from error


def _nearest(folder: Path) -> Path:
    """The folder itself, or the nearest above it that exists."""
    return next(place for place in (folder, *folder.parents) if place.exists())


def _pictures(folder: Path) -> list[Path]:
    """What readers of a folder would take for masks, and folders of such names."""
    found = folder.iterdir() if folder.is_dir() else ()
    pngs = (path for path in found if path.suffix.lower() == ".png" and not is_hidden(path.name))
    return sorted(pngs)


def _is_mask(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            return image.mode in _MODES
    except OSError:
        return False


@contextmanager
def writing_masks(folder: Path, *, whole: bool = False) -> Iterator[Path]:
    """A folder to write one run's masks to; afterwards they alone are the PNGs of ``folder``.

    Those of an earlier run give way once all is written. What is written until a stop is kept
    only where there are none, and never if masks have to be ``whole``. Raises HS2SError while
    another run of this machine writes to the folder.
    """
    with alone(folder, "another run is writing masks there"):
        _remove_torn(folder)
        part = folder.with_name(f"{hidden_name(folder)}.{os.getpid()}.part")
        earlier = _pictures(folder)
        try:
            yield part
        except BaseException:
            if earlier or whole:
                shutil.rmtree(part, ignore_errors=True)
            raise
        else:
            for path in earlier:
                path.unlink()
        finally:
            if part.is_dir():
                folder.mkdir(parents=True, exist_ok=True)
                for path in part.iterdir():
                    path.replace(folder / path.name)
                part.rmdir()


def remove_torn(folder: Path) -> None:
    """Remove what a process that was killed left of masks for ``folder``.

    Nothing is done while another one writes there.
    """
    with suppress(HS2SError), alone(folder, "another run is writing masks there"):
        _remove_torn(folder)


def _remove_torn(folder: Path) -> None:
    torn = re.compile(rf"{re.escape(hidden_name(folder))}\.\d+\.part")
    for path in folder.parent.glob(".*.part"):
        if torn.fullmatch(path.name):
            shutil.rmtree(path, ignore_errors=True)


def write_zip(target: Path, out_dir: Path, folders: Iterable[Path]) -> None:
    """The PNGs of ``folders`` in one file, named from ``out_dir`` on.

    Complete or not at all, and the same for the same masks.
    """
    with replacing(target) as part, zipfile.ZipFile(part, "w") as archive:
        for folder in sorted(folders):
            for file in _pictures(folder):
                entry = zipfile.ZipInfo(file.relative_to(out_dir).as_posix(), _EPOCH)
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, file.read_bytes())  # PNGs are compressed already
