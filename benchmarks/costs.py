"""Parameters and multiply-adds of every preset, beside what the design worked out.

    python benchmarks/costs.py [--divisor 8]

Prints the tables of docs/models.md. Multiply-adds are those of one step, one object, at
256 x 448. ``--divisor`` prints the presets with all widths divided by it, without comparison.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

from hs2s_core.models.config import ModelConfig
from hs2s_core.models.costs import count_costs
from hs2s_core.models.presets import PRESETS, preset

DESIGNED = Path(__file__).resolve().parents[1] / "tests" / "data" / "costs.json"
"""Parameters in M and multiply-adds in G, worked out on paper before the code was written."""


def main() -> None:
    """Print the tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--divisor", type=int, default=1)
    divisor = parser.parse_args().divisor
    if divisor > 1:
        _print_row(["preset", "parameters, M", "multiply-adds, G"])
        _print_row(["---"] * 3)
        for name, config in PRESETS.items():
            if config.system != "lite":
                _print_costs(f"`{name}/{divisor}`", preset(f"{name}/{divisor}"))
        return
    designed: list[dict[str, Any]] = json.loads(DESIGNED.read_text())
    by_preset = {row["preset"]: row for row in designed if "changes" not in row}
    _print_head("preset")
    for name, config in PRESETS.items():
        _print_costs(f"`{name}`", config, by_preset.get(name, {}))
    print()
    _print_head("settings")
    for row in designed:
        if "changes" in row:
            changes = ", ".join(f"{key} {value}" for key, value in row["changes"].items())
            config = dataclasses.replace(PRESETS[row["preset"]], **row["changes"])
            _print_costs(f"{row['row']}: `{row['preset']}` with {changes}", config, row)


def _print_head(first: str) -> None:
    head = [first, "parameters, M", "multiply-adds, G", "by hand: M", "G", "ratio: M", "G"]
    _print_row(head)
    _print_row(["---"] * len(head))


def _print_costs(name: str, config: ModelConfig, designed: dict[str, Any] | None = None) -> None:
    """One row; ``designed`` adds its columns, empty ones if it is."""
    costs = count_costs(config)
    found = costs.parameters / 1e6, costs.multiply_adds / 1e9
    cells = [name, *(f"{value:.2f}" for value in found)]
    if designed:
        expected = designed["parameters"], designed["step"]
        cells += [f"{value:.1f}" for value in expected]
        cells += [f"{a / b:.4f}" for a, b in zip(found, expected, strict=True)]
    elif designed is not None:
        cells += ["-"] * 4
    _print_row(cells)


def _print_row(cells: list[str]) -> None:
    print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
