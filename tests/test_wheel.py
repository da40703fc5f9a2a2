"""The wheel: what is in it, what an index would say to it, and that it works in an empty folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MEBIBYTES = 8
"""At most; docs/install.md states the size."""
USE = """
import sys
import hs2s_core, hs2s_fiftyone
from hs2s_core.resources import asset
assert hs2s_core.__file__.startswith(sys.argv[1]), hs2s_core.__file__
assert hs2s_fiftyone.__file__.startswith(sys.argv[1]), hs2s_fiftyone.__file__
assert hs2s_core.load_model().config
assert len(hs2s_core.open_frames(next((asset("demo") / "JPEGImages").iterdir()))) == 26
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built of a copy, so that nothing is left here."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():  # not one that was deleted, and not yet committed so
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, source / name)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    done = subprocess.run([*build, str(source)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    return path


def test_what_is_in_it(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for name in (
        "hs2s_core/assets/hs2s-lite.safetensors",
        "hs2s_core/assets/icon.svg",
        "hs2s_core/assets/demo/meta.json",
        "hs2s_core/py.typed",
        "hs2s_fiftyone/docs/propagation.md",
        "hs2s_fiftyone/operators/propagate_masks.py",
        "hs2s_fiftyone/py.typed",
    ):
        assert name in names
    pictures = [name for name in names if name.endswith((".png", ".webp")) and "demo/" not in name]
    assert pictures == []
    assert {Path(name).parts[0] for name in names if ".dist-info" not in name} == {
        "hs2s_core",
        "hs2s_fiftyone",
    }
    assert wheel.stat().st_size < MEBIBYTES * 2**20


def test_an_index_would_take_it(wheel: Path) -> None:
    command = [sys.executable, "-m", "twine", "check", "--strict", str(wheel)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_it_works_in_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    """With nothing of this project but the wheel: without `site`, this checkout is not found."""
    zipfile.ZipFile(wheel).extractall(tmp_path)
    packages = [path for path in sys.path if path.endswith("-packages")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *packages])}
    done = subprocess.run(
        [sys.executable, "-S", "-c", USE, str(tmp_path)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
