"""What FiftyOne knows of this plugin, as one line of JSON: ``python -m hs2s_fiftyone.diagnose``.

``hs2s doctor`` runs this in a process of its own.
"""

from __future__ import annotations

import json
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
import fiftyone.plugins as fop
from fiftyone.operators.registry import OperatorRegistry

from .install import NAME


def report() -> dict[str, Any]:
    """The plugin's folders (the first is the one that is loaded), operators and load errors."""
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


if __name__ == "__main__":
    print(json.dumps(report()))
