"""Options that several commands have."""

from __future__ import annotations

from argparse import ArgumentParser


def add_quiet(parser: ArgumentParser) -> None:
    """Of every command with a progress line."""
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def add_device(parser: ArgumentParser) -> None:
    """Where a network runs."""
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:N or mps")


def add_model_options(parser: ArgumentParser) -> None:
    """Which network runs, and where."""
    parser.add_argument(
        "--weights",
        metavar="FILE",
        help="a .safetensors file or the name of shipped or own weights (default: hs2s-lite)",
    )
    add_device(parser)
