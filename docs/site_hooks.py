"""For MkDocs: lets pages show pictures of ../assets, and name files that are not on the site.

So the same Markdown is right on the site and in the repository. And it has the plugin's docstrings
read, not imported.
"""

from __future__ import annotations

import re
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
ASSETS = ROOT / "assets"
PLUGIN = tempfile.TemporaryDirectory()  # removed with the process
PICTURES = {".png", ".jpg", ".webp", ".svg"}


@event_priority(50)  # before mkdocstrings reads its settings
def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Take the repository's address from where it stands, once it is filled in."""
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]
    if "OWNER/" not in urls["Repository"]:
        config.repo_url = urls["Repository"]
    find_plugin(config)
    return config


def find_plugin(config: MkDocsConfig) -> None:
    """Let mkdocstrings find ``plugin`` under the name that it is installed by.

    It imports what it does not find, and with it FiftyOne and PyTorch: half of the time.
    """
    link = Path(PLUGIN.name, "hs2s_fiftyone")
    with suppress(OSError):  # there already, or a system without links
        link.symlink_to(ROOT / "plugin", target_is_directory=True)
    paths = config.plugins["mkdocstrings"].config["handlers"]["python"]["paths"]
    if PLUGIN.name not in paths:
        paths.append(PLUGIN.name)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the repository's pictures."""
    for path in ASSETS.iterdir():
        if path.suffix in PICTURES:
            place = f"assets/pictures/{path.name}"
            files.append(File.generated(config, place, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point pictures to where they are on the site; other files outside are named, not linked."""
    pictures = re.compile(r"\]\(\.\./assets/([\w-]+\.(?:png|jpg|webp|svg))\)")
    markdown = pictures.sub(r"](assets/pictures/\1)", markdown)
    return re.sub(r"\[([^\]]+)\]\(\.\./([^)#]+)[^)]*\)", named(config.repo_url), markdown)


def named(repository: str | None) -> str:
    """What stands for a file of the repository: a link where that is known, else its path."""
    if repository:
        return rf"[\1]({repository.rstrip('/')}/blob/main/\2)"
    return r"\1 (`\2`)"
