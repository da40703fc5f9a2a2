"""The weighted mean of weights files of one network, as a weights file.

    python benchmarks/mean_of_weights.py OUT.safetensors FILE[=SHARE] FILE[=SHARE] ...

FILE is a .safetensors file or the name of bundled weights, SHARE how much of it is taken (default:
1; they are divided by their sum). Sums are float32; types, config and card are the first file's.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from hs2s_core.errors import HS2SError
from hs2s_core.weights import find_weights


def main() -> None:
    """Write the mean."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("files", nargs="+", metavar="FILE[=SHARE]")
    arguments = parser.parse_args()
    parts = [(find_weights(name), float(share)) for name, share in map(_split, arguments.files)]
    whole = sum(share for _, share in parts)
    loaded = [load_file(path) for path, _ in parts]
    first = loaded[0]
    for (path, _), other in zip(parts, loaded, strict=True):
        if {k: v.shape for k, v in other.items()} != {k: v.shape for k, v in first.items()}:
            raise HS2SError(f"{path} is of another network than {parts[0][0]}")
    mean = {}
    for name, like in first.items():
        if like.is_floating_point():
            terms = [
                own[name].float() * share for own, (_, share) in zip(loaded, parts, strict=True)
            ]
            mean[name] = (torch.stack(terms).sum(0) / whole).to(like.dtype)
        else:
            mean[name] = like
    with safe_open(parts[0][0], framework="pt") as file:
        metadata = file.metadata()
    save_file(mean, arguments.out, metadata=metadata)


def _split(text: str) -> tuple[str, str]:
    name, _, share = text.rpartition("=") if "=" in text else (text, "", "1")
    return name, share


if __name__ == "__main__":
    main()
