"""This repository as FiftyOne downloads it: its files, and an address that has them as a zip."""

from __future__ import annotations

import functools
import http.server
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What FiftyOne downloads from a repository, without what only tests and pictures need.
PARTS = ("fiftyone.yml", "LICENSE", "README.md", "pyproject.toml", "requirements.txt")
FOLDERS = ("plugin", "hs2s_core", "assets", "docs")


def repository_files() -> list[Path]:
    """The files of the clone that are the plugin."""
    files = [ROOT / name for name in PARTS if (ROOT / name).is_file()]
    for folder in FOLDERS:
        files += [
            path
            for path in sorted((ROOT / folder).rglob("*"))
            if path.is_file() and "__pycache__" not in path.parts
        ]
    return files


@contextmanager
def served_clone(folder: Path) -> Iterator[str]:
    """The address of a zip as code hosts make it: all files below one folder."""
    folder.mkdir()
    with zipfile.ZipFile(folder / "repository.zip", "w") as archive:
        for path in repository_files():
            archive.write(path, Path("hs2s-main") / path.relative_to(ROOT))
    handler = functools.partial(_QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/repository.zip"
        finally:
            server.shutdown()


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files without a line on the terminal for each."""

    def log_message(self, *args: object) -> None:
        """Say nothing."""
