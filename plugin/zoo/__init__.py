"""HS2S-lite as a source of FiftyOne's model zoo.

FiftyOne copies this folder, without the rest of the package, into its zoo and asks the copy.
"""

from __future__ import annotations

import importlib.util

import fiftyone.operators as foo

if importlib.util.find_spec("hs2s_fiftyone") is None:
    foo.list_operators()  # where FiftyOne has the plugin, this makes the package importable

try:
    from hs2s_fiftyone.zoo_model import download_model, load_model, resolve_input
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "FiftyOne's zoo has only the entry of hs2s-lite; expected the package hs2s-fiftyone or the "
        "plugin @hs2s/vos beside it. Install one of them (docs/install.md of the repository)"
    ) from error

__all__ = ["download_model", "load_model", "resolve_input"]
