"""``hs2s install-plugin``: make the installed package visible to FiftyOne."""

from __future__ import annotations

import argparse

SUMMARY = "make the plugin known to FiftyOne"
EXAMPLES = (
    "hs2s install-plugin",
    "hs2s install-plugin --plugins-dir ~/fiftyone/plugins",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``hs2s install-plugin``."""
    parser.add_argument(
        "--plugins-dir", help="where FiftyOne looks for plugins (default: as FiftyOne is set up)"
    )


def run(args: argparse.Namespace) -> int:
    """Install, and say how to go on."""
    from ..install import install, manifest

    folder, what = install(args.plugins_dir), manifest()
    print(f"installed {what['name']} {what['version']} into {folder}")
    print("Restart a running FiftyOne App; its operator browser (key `) then offers the operators.")
    return 0
