"""Parameters and multiply-adds of every preset, beside what the design worked out.

    python benchmarks/costs.py [--divisor 8]

Prints the table of docs/models.md. Multiply-adds are those of one step, one object, at
256 x 448. ``--divisor`` prints the presets with all widths divided by it, without comparison.
"""

from __future__ import annotations

import argparse

from hs2s_core.config import PRESETS, preset
from hs2s_core.models.costs import count_costs

DESIGN = {
    "s2s": (67.7, 73.0),
    "s2s-star": (150.6, 56.0),
    "hs2s": (395.8, 176.9),
    "hs2s-first": (376.9, 160.9),
    "hs2s-previous": (376.9, 171.6),
    "hs2s-vgg16": (208.4, 151.6),
    "hs2s-resnet101": (433.7, 193.9),
    "hs2s-deeplab": (395.8, 220.6),
    "hs2s-deeplab-aspp": (423.2, 232.4),
    "hs2s-axial": (202.0, 95.9),
    "hs2s-deeprnn": (461.8, 184.3),
    "hs2s-tensor-train": (359.9, 172.9),
    "hs2s-cosine": (363.2, 168.7),
    "hs2s-attention": (371.9, 170.2),
    "bi-hs2s": (520.0, 187.4),
    "raft-hs2s": (399.1, 176.9),
}
"""Parameters in M and multiply-adds in G, from the specification the code was written to."""


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--divisor", type=int, default=1)
    divisor = parser.parse_args().divisor
    head = ["preset", "parameters, M", "multiply-adds, G"]
    if divisor == 1:
        head += ["designed: M", "G", "ratio: M", "G"]
    print(_row(head))
    print(_row(["---"] * len(head)))
    for name, config in PRESETS.items():
        if divisor > 1 and config.system == "lite":
            continue
        costs = count_costs(preset(f"{name}/{divisor}") if divisor > 1 else config)
        found = costs.parameters / 1e6, costs.multiply_adds / 1e9
        cells = [f"`{name}`" if divisor == 1 else f"`{name}/{divisor}`"]
        cells += [f"{value:.2f}" for value in found]
        if divisor == 1:
            design = DESIGN.get(name)
            cells += [f"{value:.1f}" for value in design] if design else ["-", "-"]
            cells += (
                [f"{a / b:.4f}" for a, b in zip(found, design, strict=True)]
                if design
                else ["-", "-"]
            )
        print(_row(cells))


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
