"""``hs2s weights``: export or convert a checkpoint, describe a weights file, list what exists."""

from __future__ import annotations

import argparse
import json

from hs2s_core.commands.options import add_count, add_overwrite, add_path, add_switch, check_new
from hs2s_core.wording import counted

EXAMPLES = (
    "hs2s weights info hs2s-lite",
    "hs2s weights convert authors-checkpoint.pth hs2s.safetensors",
    "hs2s weights export runs/mine mine.safetensors --half",
    "hs2s weights onnx hs2s-lite graphs/ --frame 854x480",
    "hs2s weights list",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    convert = verbs.add_parser(
        "convert", help="turn the paper authors' checkpoint into a safetensors file"
    )
    add_path(convert, "checkpoint", "CHECKPOINT", "the authors' file")

    export = verbs.add_parser(
        "export", help="turn a checkpoint of a training run into a safetensors file"
    )
    text = "last.pt or best.pt of a run, or its folder: best.pt where there is one"
    add_path(export, "checkpoint", "CHECKPOINT", text)
    for verb in (convert, export):
        add_path(verb, "out", "OUT.safetensors", "file to write")
        add_switch(verb, "--half", "store float16: half the size, loaded as float32")
        add_overwrite(verb)

    info = verbs.add_parser("info", help="print config, card and size of a weights file")
    info.add_argument(
        "file", metavar="FILE", help="a .safetensors file, or the name of shipped or own weights"
    )

    onnx = verbs.add_parser("onnx", help="write a network's step as ONNX graphs")
    onnx.add_argument("file", metavar="FILE", help="as for info")
    add_path(onnx, "out", "OUT", "folder for begin.onnx and step.onnx")
    onnx.add_argument(
        "--frame",
        type=_size,
        default=(480, 854),
        metavar="WxH",
        help="size of the videos, in pixels, whose shape the graphs are for (default: 854x480)",
    )
    add_count(onnx, "--objects", "objects at once (default: 1)", default=1)
    add_overwrite(onnx, "graphs that exist")

    verbs.add_parser("list", help="print the presets and where the weights of each come from")


def _size(word: str) -> tuple[int, int]:
    width, _, height = word.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) * int(height)):
        raise argparse.ArgumentTypeError(f"{word!r}; expected WxH in pixels, such as 854x480")
    return int(height), int(width)


def run(args: argparse.Namespace) -> int:
    """Run the verb that was asked for; errors are raised as HS2SError."""
    verbs = {"convert": _store, "export": _store, "info": _info, "onnx": _onnx, "list": _list}
    verbs[args.verb](args)
    return 0


def _store(args: argparse.Namespace) -> None:
    """Write the weights of a checkpoint, the authors' or a run's, and say what they are."""
    import torch

    from hs2s_core.authors import convert_checkpoint
    from hs2s_core.training.run_folder import export_run
    from hs2s_core.weights import read_header

    check_new(args.out, overwrite=args.overwrite)
    write = convert_checkpoint if args.verb == "convert" else export_run
    write(args.checkpoint, args.out, torch.float16 if args.half else None)
    header = read_header(args.out)
    tensors, values = counted(len(header.tensors), "tensor"), header.parameters / 1e6
    print(f"{args.out}: {tensors}, {values:.1f} M values")


def _info(args: argparse.Namespace) -> None:
    from hs2s_core.weights import find_weights, read_header

    path = find_weights(args.file)
    header = read_header(path)
    dtypes = sorted({dtype for dtype, _ in header.tensors.values()})
    print(f"file      {path}")
    print(f"size      {path.stat().st_size / 2**20:.1f} MiB")
    print(
        f"tensors   {len(header.tensors)}, {header.parameters / 1e6:.2f} M values, "
        f"stored as {', '.join(dtypes)}"
    )
    print(f"config    {json.dumps(header.config.to_dict(), indent=2)}")
    print(f"card      {json.dumps(header.card, indent=2)}")


def _list(args: argparse.Namespace) -> None:
    from hs2s_core.models.presets import PRESETS
    from hs2s_core.own_weights import own_weights
    from hs2s_core.weights import PUBLISHED

    own = own_weights()
    width = max(map(len, (*PRESETS, *own)))
    for name in PRESETS:
        note = PUBLISHED.get(name, f"none published; `hs2s train --preset {name}`")
        print(f"{name:<{width}}  {note}")
    for name, path in own.items():
        print(f"{name:<{width}}  {path}")


def _onnx(args: argparse.Namespace) -> None:
    from hs2s_core.models.export import ONNX_FILES, export_onnx
    from hs2s_core.weights import load_model

    for name in ONNX_FILES:
        check_new(args.out / name, overwrite=args.overwrite)
    model = load_model(args.file, device="cpu")
    for path in export_onnx(model, args.out, args.frame, objects=args.objects):
        print(path)
