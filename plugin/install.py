"""Puts the installed package where FiftyOne looks for plugins: ``hs2s install-plugin``.

FiftyOne searches its plugins folder only, so a package installed by pip is invisible to it. This
writes a folder there of small files: the manifest, the icon, the script for the browser, the pages
that forms link to and an ``__init__.py`` that imports ``register`` from the installed package, so
that an upgrade by pip reaches FiftyOne too.
"""

from __future__ import annotations

import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path

import fiftyone as fo
import fiftyone.plugins as fop
import yaml

from hs2s_core.errors import HS2SError, docs_folder
from hs2s_core.resources import asset

from ._bootstrap import NAME
from .help import as_html
from .operators import OPERATORS
from .panels import PANELS
from .player import SCRIPT

PACKAGE = "hs2s-fiftyone"
_WRITTEN = '"""Written by `hs2s install-plugin`: hands FiftyOne the installed package."""'
_ENTRY = f"""{_WRITTEN}

import sys

try:
    from hs2s_fiftyone import register
except ModuleNotFoundError as error:
    if error.name != "hs2s_fiftyone":
        raise
    raise ModuleNotFoundError(
        f"FiftyOne runs with {{sys.executable}}, where HS2S is not installed; install it there, or "
        "start FiftyOne in the environment that has it"
    ) from None

__all__ = ["register"]
"""


def manifest() -> dict[str, object]:
    """The contents of ``fiftyone.yml``; the clone's own file at the root says the same."""
    return {
        "name": NAME,
        "type": "plugin",
        "author": "HS2S for FiftyOne",
        "version": version(PACKAGE),
        "license": "Apache-2.0",
        "description": "One mask in, the object segmented in every frame of the video",
        "fiftyone": {"version": ">=1.14,<2"},
        "py_entry": "plugin/__init__.py",
        "js_bundle": f"plugin/{SCRIPT.name}",
        "operators": [operator().config.name for operator in OPERATORS],
        "panels": [panel().config.name for panel in PANELS],
    }


def install(plugins_dir: str | Path | None = None) -> Path:
    """Write the plugin folder below ``plugins_dir`` (default: FiftyOne's) and return it.

    A folder that this function wrote earlier is replaced. Raises HS2SError when the plugin is
    already provided by something else, such as the link to a clone, which would shadow it.
    """
    root = Path(plugins_dir or fo.config.plugins_dir).expanduser()
    folder = root / NAME
    entry = folder / "plugin" / "__init__.py"
    ours = not folder.is_symlink() and entry.is_file() and entry.read_text().startswith(_WRITTEN)
    if (folder.exists() or folder.is_symlink()) and not ours:
        raise HS2SError(
            f"{folder} exists and was not written by this command; it is another installation of "
            "the plugin, such as a linked clone. Remove it, then run the command again."
        )
    _refuse_shadow(root, folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Complete before it gets its name: FiftyOne may look at any moment.
    part = Path(tempfile.mkdtemp(prefix=".hs2s-", dir=root))
    try:
        _write(part)
        if ours:
            shutil.rmtree(folder)
        part.rename(folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return folder


def _write(folder: Path) -> None:
    folder.chmod(0o755)  # mkdtemp makes it private
    (folder / "plugin").mkdir()
    (folder / "assets").mkdir()
    (folder / "fiftyone.yml").write_text(yaml.safe_dump(manifest(), sort_keys=False))
    (folder / "plugin" / "__init__.py").write_text(_ENTRY)
    shutil.copyfile(SCRIPT, folder / "plugin" / SCRIPT.name)
    shutil.copyfile(asset("icon.svg"), folder / "assets" / "icon.svg")

    docs = docs_folder()
    (folder / "docs").mkdir()
    for page in [] if docs is None else docs.glob("*.md"):
        text = page.read_text(encoding="utf-8")
        (folder / "docs" / f"{page.stem}.html").write_text(as_html(text), encoding="utf-8")


def _refuse_shadow(root: Path, folder: Path) -> None:
    """FiftyOne loads the first plugin of a name that it finds and ignores the others."""
    if root.resolve() != Path(fo.config.plugins_dir).expanduser().resolve():
        return
    for plugin in fop.list_plugins(enabled="all", shadowed="all"):
        if plugin.name == NAME and Path(plugin.directory).resolve() != folder.resolve():
            raise HS2SError(
                f"{plugin.directory} already provides {NAME}; FiftyOne would load only one of "
                "them. Remove it, then run the command again."
            )
