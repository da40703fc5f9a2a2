"""What a working installation needs: each thing is looked for, and tried where that is quick.

Other packages add checks of their own (:mod:`hs2s_core.extensions`).
"""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import metadata

from hs2s_core.errors import HS2SError
from hs2s_core.extensions import CHECKS, extensions
from hs2s_core.wording import counted

PACKAGE = "hs2s-fiftyone"
REINSTALL = f"install it again: `pip install {PACKAGE}`, or `pip install .` in a clone"
_OLDEST, _NEWEST = (3, 10), (3, 13)
_SECONDS = 120


@dataclass(frozen=True)
class Check:
    """What was found out about one requirement."""

    name: str
    ok: bool
    found: str
    mend: str = ""
    """What to do where it is not ok."""
    required: bool = True
    """Whether the main job fails without it."""


def check_all() -> list[Check]:
    """Every check, in the order in which things should be mended."""
    checks: list[tuple[str, Callable[[], Check]]] = [
        ("Python", check_python),
        ("packages", check_packages),
        ("OpenCV", check_opencv),
        ("device", check_device),
        ("weights", check_weights),
        ("demo clip", check_clip),
        ("ffmpeg", check_ffmpeg),
    ]
    for name, entry in extensions(CHECKS).items():
        try:
            checks += entry.load()
        except Exception as error:  # whatever a broken installation raises
            found = f"{type(error).__name__}: {error}"
            checks.append((name, partial(Check, name, False, found, REINSTALL)))
    return [_run(name, check) for name, check in checks]


def check_python() -> Check:
    """Whether this Python is one that the project is tested with."""
    fits = _OLDEST <= sys.version_info[:2] <= _NEWEST
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    oldest, newest = (".".join(map(str, version)) for version in (_OLDEST, _NEWEST))
    return Check("Python", fits, found, f"use Python {oldest} to {newest}")


def check_packages() -> Check:
    """Whether every package that this one depends on is installed in a fitting version."""
    from packaging.requirements import Requirement

    try:
        listed = metadata.requires(PACKAGE) or []
    except metadata.PackageNotFoundError:
        return Check("packages", False, f"{PACKAGE} itself is not installed", REINSTALL)
    found, wrong = [f"{PACKAGE} {metadata.version(PACKAGE)}"], []
    for requirement in map(Requirement, listed):
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        version = version_of(requirement.name)
        found.append(f"{requirement.name} {version or '-'}")
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name} ({version or 'missing'}, expected {requirement})")
    mend = f"{', '.join(wrong)}: {REINSTALL}"
    return Check("packages", not wrong, ", ".join(found), mend)


def check_opencv() -> Check:
    """Whether cv2 imports, and is one build: two of them overwrite each other's files."""
    names = ("opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless")
    others = [name for name in names if version_of(name) is not None]
    mend = (
        f"`pip uninstall {' '.join(others)} opencv-python-headless`, then "
        "`pip install opencv-python-headless`"
    )
    import cv2

    if others:
        found = f"{cv2.__version__}, but {', '.join(others)} overwrites opencv-python-headless"
        return Check("OpenCV", False, found, mend, required=False)
    return Check("OpenCV", True, str(cv2.__version__))


def check_device() -> Check:
    """Where networks run when no device is asked for; a CPU is slower, but enough."""
    import torch

    from hs2s_core.devices import pick_device

    device = pick_device()
    found = str(device)
    if device.type == "cuda":
        found = f"{device} ({torch.cuda.get_device_name(device)})"
    elif device.type == "cpu":
        found = f"cpu with {counted(torch.get_num_threads(), 'thread')}; no GPU found"
    return Check("device", True, found)


def check_weights() -> Check:
    """Whether the default weights are there and complete."""
    from hs2s_core.weights import DEFAULT, find_weights, load_model

    path = find_weights()
    load_model(path, device="cpu")
    return Check("weights", True, f"{DEFAULT}, {path.stat().st_size / 2**20:.1f} MiB: {path}")


def check_clip() -> Check:
    """Whether the bundled clip is there and its first frame can be read."""
    from hs2s_core.media.frames import open_frames
    from hs2s_core.resources import asset

    folder = next((asset("demo") / "JPEGImages").iterdir())
    frames = open_frames(folder)
    frames.at(0)
    return Check("demo clip", True, f"{counted(len(frames), 'frame')}: {folder}")


def check_ffmpeg() -> Check:
    """Whether ffmpeg runs and can write H.264, which browsers play."""
    from hs2s_core.media.encode import find_ffmpeg

    program = find_ffmpeg()
    status, said = call([program, "-hide_banner", "-encoders"])
    mend = "install a full build with libx264, for example: sudo apt install ffmpeg"
    if status != 0:
        return Check("ffmpeg", False, f"{program} does not run ({last_line(said)})", mend)
    if "libx264" not in said:
        return Check("ffmpeg", False, f"{program} cannot write H.264 (no libx264)", mend)
    version = re.search(r"version (\S+)", call([program, "-version"])[1])
    return Check("ffmpeg", True, f"{version[1] if version else 'found'}: {program}")


def _run(name: str, check: Callable[[], Check]) -> Check:
    """A check that cannot even be made has failed; the others still run."""
    try:
        return check()
    except HS2SError as error:
        return Check(name, False, str(error))  # says itself what to do
    except Exception as error:
        return Check(name, False, f"{type(error).__name__}: {error}", REINSTALL)


def version_of(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def call(command: list[str]) -> tuple[int, str]:
    """Exit status and all output of a program."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_SECONDS,
            text=True,
            errors="replace",
        )
    except subprocess.TimeoutExpired:
        return 1, f"no answer within {_SECONDS} seconds"
    except OSError as error:
        return 1, error.strerror or str(error)
    return done.returncode, done.stdout


def last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no message"
