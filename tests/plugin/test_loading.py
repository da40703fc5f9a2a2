"""The three ways in which FiftyOne gets the plugin, each in a process of its own that uses it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
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

from .clone import ROOT, repository_files, served_clone
from .helpers import SIZE, detection, square, tiny_network, video_sample

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
        timeout=240,
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


def test_an_installed_wheel(scene: dict[str, str], tmp_path: Path) -> None:
    """Built and installed by pip, then made known by ``hs2s install-plugin``."""
    source, site, plugins = tmp_path / "source", tmp_path / "site", tmp_path / "plugins"
    plugins.mkdir()
    for path in repository_files():  # a copy: building leaves files in the source
        target = source / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    built = subprocess.run(
        [*pip, "--target", str(site), str(source)], capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr[-3000:]
    assert not (site / "plugin").exists()  # would collide with other packages of that name
    prepare = """
        from hs2s_core.cli import main
        assert main(["install-plugin"]) == 0
        """
    check(use(scene, plugins, output="installed", prepare=prepare, path=site), site)
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
