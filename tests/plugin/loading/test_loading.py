"""The three ways in which FiftyOne gets the plugin, each in a process of its own that uses it.

One is the wheel: what is in it, and what an index would say to it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import fiftyone as fo
import numpy as np
import pytest
import yaml

from hs2s_core.errors import HS2SError
from hs2s_core.weights import save_weights
from hs2s_fiftyone.install import install, manifest
from hs2s_fiftyone.operators import OPERATORS
from hs2s_fiftyone.panels import PANELS
from hs2s_fiftyone.player import SCRIPT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from ..clone import ROOT, served_clone
from ..helpers import SIZE, detection, square, tiny_network, video_sample

MEBIBYTES = 8
"""Of the wheel, at most; docs/install.md states the size."""
USE = """
import sys
{prepare}
import fiftyone as fo, fiftyone.operators as foo
from fiftyone.operators.registry import OperatorRegistry

registry = OperatorRegistry()
assert registry.list_errors() == [], registry.list_errors()
listed = [found.name for found in registry.list_operators(builtin=False)]
import fiftyone.zoo as foz
assert foz.load_zoo_model("hs2s-lite").media_type == "video"
import hs2s_core
operator = foo.get_operator("@hs2s/vos/propagate_masks")
summary = operator(fo.load_dataset({dataset!r}), "truth", {output!r}, model={weights!r})
print("LISTED", *listed)
print("CORE", hs2s_core.__file__)
print("DONE", *summary.done, *summary.failed)
"""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A stored dataset of one short video, and weights."""
    folder = tmp_path_factory.mktemp("scene")
    writer = cv2.VideoWriter(
        str(folder / "clip.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 10, SIZE[::-1]
    )
    for index in range(3):
        writer.write(np.full((*SIZE, 3), 60 * index, np.uint8))
    writer.release()
    save_weights(tiny_network(), folder / "tiny.safetensors", {"note": "random"})
    dataset = fo.Dataset("loading", persistent=True, overwrite=True)
    labels = fo.Detections(detections=[detection(square(8, 8), index=1)])
    dataset.add_sample(video_sample(str(folder / "clip.mp4"), {1: labels}))
    yield {"dataset": dataset.name, "weights": str(folder / "tiny.safetensors")}
    dataset.delete()


def use(
    scene: dict[str, str],
    plugins: Path,
    *,
    output: str,
    prepare: str = "",
    path: Path | None = None,
) -> dict[str, list[str]]:
    """Load the plugin from a plugins folder in a new process, run it, and return what it says.

    The process sees the third-party packages only: without `site`, the editable installation of
    this project is inactive, so that ``hs2s_core`` must come from where the user has it.
    """
    packages = [folder for folder in sys.path if folder.endswith("-packages")]
    zoo = plugins.parent / "zoo"  # its entry finds the package wherever that is
    shutil.copytree(ROOT / "plugin" / "zoo", zoo / "hs2s")
    environment = os.environ | {
        "FIFTYONE_MODEL_ZOO_DIR": str(zoo),
        "PYTHONPATH": os.pathsep.join([*([str(path)] if path else []), *packages]),
        "FIFTYONE_PLUGINS_DIR": str(plugins),
    }
    script = USE.format(output=output, prepare=textwrap.dedent(prepare), **scene)
    ended = subprocess.run(
        [sys.executable, "-S", "-c", script],
        cwd=plugins,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    lines = [line.split() for line in ended.stdout.splitlines()]
    return {line[0]: line[1:] for line in lines if line and line[0].isupper()}


def check(said: dict[str, list[str]], core: Path) -> None:
    """All operators and panels are there, the work was done, and by the expected ``hs2s_core``."""
    assert sorted(said["LISTED"]) == sorted(part().config.name for part in (*OPERATORS, *PANELS))
    assert said["DONE"] == ["clip.mp4"]
    assert Path(said["CORE"][0]).is_relative_to(core)


def test_a_linked_clone(scene: dict[str, str], tmp_path: Path) -> None:
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    (plugins / "vos").symlink_to(ROOT)
    check(use(scene, plugins, output="linked"), ROOT)


def test_fiftyone_download(scene: dict[str, str], tmp_path: Path) -> None:
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    with served_clone(tmp_path / "served") as url:
        prepare = f"""
        import fiftyone.plugins as fop
        assert list(fop.download_plugin({url!r})) == ["@hs2s/vos"]
        """
        said = use(scene, plugins, output="downloaded", prepare=prepare)
    check(said, plugins / "@hs2s" / "vos")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built of a copy of what is in the repository, so that nothing is left here."""
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


def test_what_is_in_the_wheel(wheel: Path) -> None:
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
    # Another package could have a folder called `plugin`.
    assert {Path(name).parts[0] for name in names if ".dist-info" not in name} == {
        "hs2s_core",
        "hs2s_fiftyone",
    }
    assert wheel.stat().st_size < MEBIBYTES * 2**20


def test_an_index_would_take_the_wheel(wheel: Path) -> None:
    command = [sys.executable, "-m", "twine", "check", "--strict", str(wheel)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_an_installed_wheel(scene: dict[str, str], wheel: Path, tmp_path: Path) -> None:
    """Installed by pip, complete, and made known by ``hs2s install-plugin``."""
    site, plugins = tmp_path / "site", tmp_path / "plugins"
    plugins.mkdir()
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site)]
    installed = subprocess.run([*pip, str(wheel)], capture_output=True, text=True)
    assert installed.returncode == 0, installed.stderr[-3000:]
    prepare = """
        import hs2s_core, hs2s_fiftyone
        from hs2s_core.cli import main
        from hs2s_core.resources import asset
        assert main(["install-plugin"]) == 0
        assert hs2s_core.load_model().config
        assert len(hs2s_core.open_frames(next((asset("demo") / "JPEGImages").iterdir()))) == 26
        print("PLUGIN", hs2s_fiftyone.__file__)
        """
    said = use(scene, plugins, output="installed", prepare=prepare, path=site)
    check(said, site)
    assert Path(said["PLUGIN"][0]).is_relative_to(site)
    for name in ("assets/icon.svg", "docs/draw.html"):
        assert (plugins / "@hs2s" / "vos" / name).is_file()


def test_no_package_is_left_out_of_the_wheel() -> None:
    """Code that is missing from the wheel works everywhere else."""
    names = {"hs2s_core": "hs2s_core", "plugin": "hs2s_fiftyone"}
    present = {
        ".".join([names[folder], *path.parent.relative_to(ROOT / folder).parts])
        for folder in names
        for path in (ROOT / folder).rglob("__init__.py")
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    declared = set(project["tool"]["setuptools"]["packages"])
    assert declared - {"hs2s_core.assets", "hs2s_fiftyone.docs"} == present


def test_the_manifest_of_a_clone_says_the_same() -> None:
    """FiftyOne silently ignores operators that the manifest does not list."""
    assert yaml.safe_load((ROOT / "fiftyone.yml").read_text()) == manifest()


def test_installing_again_replaces(tmp_path: Path) -> None:
    folder = install(tmp_path)
    (folder / "fiftyone.yml").write_text("old")
    assert install(tmp_path) == folder
    assert yaml.safe_load((folder / "fiftyone.yml").read_text()) == manifest()
    assert (folder / manifest()["js_bundle"]).read_text() == SCRIPT.read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["@hs2s"]


def test_what_an_earlier_version_wrote_is_replaced(tmp_path: Path) -> None:
    entry = install(tmp_path) / "plugin" / "__init__.py"
    now = entry.read_text()
    entry.write_text(now.splitlines()[0] + "\n\nfrom hs2s_fiftyone import register\n")
    install(tmp_path)
    assert entry.read_text() == now


def test_a_python_without_the_package_is_named(tmp_path: Path) -> None:
    """FiftyOne shows what importing the plugin raises."""
    entry = install(tmp_path) / "plugin" / "__init__.py"
    # Without any installed package.
    ran = subprocess.run([sys.executable, "-S", entry], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert f"FiftyOne runs with {sys.executable}, where HS2S is not installed" in ran.stderr
    assert "During handling" not in ran.stderr


def test_installing_keeps_what_others_put_there(tmp_path: Path) -> None:
    (tmp_path / "@hs2s").mkdir()
    (tmp_path / "@hs2s" / "vos").symlink_to(ROOT)
    with pytest.raises(HS2SError, match="was not written by this command"):
        install(tmp_path)
    assert (tmp_path / "@hs2s" / "vos").is_symlink()


def test_installing_refuses_a_linked_clone_elsewhere() -> None:
    link = Path(fo.config.plugins_dir, "my-clone")
    link.symlink_to(ROOT)
    try:
        with pytest.raises(HS2SError, match=r"my-clone already provides @hs2s/vos"):
            install()
    finally:
        link.unlink()


def test_plugin_requirements_agree_with_the_package() -> None:
    """FiftyOne reads requirements.txt; the package declares the same, and torch and FiftyOne."""
    lines = [line.strip() for line in (ROOT / "requirements.txt").read_text().splitlines()]
    wanted = [line for line in lines if line and not line.startswith("#")]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert wanted
    assert set(wanted) <= {line.replace('"', "'") for line in project["dependencies"]}
