"""``hs2s train --from-fiftyone``: train on the labels of a dataset or of one of its saved views."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from hs2s_core.commands.options import add_count, add_switch
from hs2s_core.errors import HS2SError

if TYPE_CHECKING:
    from fiftyone.core.collections import SampleCollection

SOURCE = "from_fiftyone"
OPTIONS = ("field", "name", "start", "steps", "overwrite")


def add_arguments(
    parser: argparse.ArgumentParser, sources: argparse._MutuallyExclusiveGroup
) -> None:
    """Add the option and those that go with it; FiftyOne is not imported for them."""
    sources.add_argument(
        "--from-fiftyone",
        metavar="DATASET[:VIEW]",
        help="go on from the bundled weights with the labels of a dataset, or of a view that was "
        "saved with it; needs --field and --name",
    )
    group = parser.add_argument_group("labels of a dataset, with --from-fiftyone")
    group.add_argument("--field", help="frame field with the masks")
    group.add_argument("--name", help="of the model, for --weights and the form")
    group.add_argument("--start", metavar="WEIGHTS", help="to go on from (default: hs2s-lite)")
    add_count(group, "--steps", "training steps (default: 300)")
    add_switch(group, "--overwrite", "replace a model of this name", default=None)


def run(args: argparse.Namespace) -> int:
    """Train, and say what came of it; 1 if nothing was better."""
    if args.field is None or args.name is None:
        raise HS2SError("--from-fiftyone needs --field and --name: which masks, for which model")
    from ..training import finetune

    given = {key: getattr(args, key) for key in ("start", "steps", "overwrite")}
    given = {key: value for key, value in given.items() if value is not None}
    tuning = finetune(
        _open(args.from_fiftyone),
        args.field,
        args.name,
        device=args.device,
        progress=not args.quiet,
        **given,
    )
    print(tuning)
    if tuning.path is None:
        return 1
    print(f"use it: hs2s propagate SOURCE MASKS OUT --weights {args.name}")
    return 0


def _open(words: str) -> SampleCollection:
    """The dataset, or its view behind the last colon; a dataset's name may have one too."""
    import fiftyone as fo

    if fo.dataset_exists(words):
        return fo.load_dataset(words)
    name, _, view = words.rpartition(":")
    if not fo.dataset_exists(name):
        known = ", ".join(fo.list_datasets()) or "no dataset at all"
        raise HS2SError(f"{words!r}: no such dataset; found {known}")
    dataset = fo.load_dataset(name)
    if not dataset.has_saved_view(view):
        known = ", ".join(dataset.list_saved_views()) or "no saved view"
        raise HS2SError(f"{words!r}: {name} has no saved view {view!r}; found {known}")
    return dataset.load_saved_view(view)
