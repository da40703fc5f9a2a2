"""The pages of docs/ that forms link to: the App's server has them, as it has the plugin's icon.

``hs2s install-plugin`` writes them for browsers; of a linked clone there are the Markdown files.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

import fiftyone.plugins as fop

from ._bootstrap import NAME


def help_line(about: str, page: str) -> str:
    """One line of Markdown for a form: what it does, and where to read on."""
    served = _served()
    if served is None:
        return f"{about}. More in `docs/{page}` of the repository."
    folder, address = served
    html = f"{Path(page).stem}.html"
    shown = html if (folder / html).is_file() else page
    return f"{about}. [Help]({address}/docs/{shown}) (Ctrl-click for a new tab)"


_STYLE = """
body { max-width: 50em; margin: 2em auto; padding: 0 1em; font: 16px/1.5 sans-serif; }
pre, code { background: #eee; border-radius: 3px; padding: 0 .2em; }
pre { padding: .8em; overflow-x: auto; }
table { border-collapse: collapse; }
td, th { border: 1px solid #ccc; padding: .2em .6em; text-align: left; }
"""


def as_html(text: str) -> str:
    """A page for browsers. What lies outside of docs/ does not ship and is named, not linked."""
    from markdown import markdown

    text = re.sub(r"!\[([^\]]*)\]\([^)]*\)", r"*(picture: \1)*", text)
    text = re.sub(r"\[([^\]]+)\]\(\.\./([^)]+)\)", r"\1 (`\2`)", text)
    text = re.sub(r"\]\(([\w-]+)\.md", r"](\1.html", text)
    body = markdown(text, extensions=["tables", "fenced_code", "sane_lists", "toc"])
    head = f'<meta charset="utf-8"><style>{_STYLE}</style>'
    return f"<!DOCTYPE html><html><head>{head}</head><body>{body}</body></html>"


@lru_cache(maxsize=1)
def _served() -> tuple[Path, str] | None:
    """The folder of pages, and the server's path to the plugin; None without pages."""
    for plugin in fop.list_plugins():
        folder = Path(plugin.directory) / "docs"
        if plugin.name == NAME and folder.is_dir():
            return folder, str(plugin.server_path)
    return None
