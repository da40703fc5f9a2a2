"""The pages of docs/ that forms link to: the App's server has them, as it has the plugin's icon."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import fiftyone.plugins as fop

from ._bootstrap import NAME


def help_line(about: str, page: str) -> str:
    """One line of Markdown for a form: what it does, and where to read on."""
    served = _served()
    if served is None:
        return f"{about}. More in `docs/{page}` of the repository."
    return f"{about}. [Help]({served}/docs/{page}) (Ctrl-click: in a tab of its own)"


@lru_cache(maxsize=1)
def _served() -> str | None:
    """Where the App's server has the plugin's folder; None if there are no pages in it."""
    for plugin in fop.list_plugins():
        if plugin.name == NAME and (Path(plugin.directory) / "docs").is_dir():
            return str(plugin.server_path)
    return None
