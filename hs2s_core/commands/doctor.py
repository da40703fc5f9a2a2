"""``hs2s doctor``: what is installed, what is missing, how to mend it."""

from __future__ import annotations

import argparse
import dataclasses
import json

from hs2s_core.commands.options import add_switch

MISSING = 1
"""Exit status when something required is missing."""
EXAMPLES = (
    "hs2s doctor",
    "hs2s doctor --json",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_switch(parser, "--json", "print the checks as JSON")


def run(args: argparse.Namespace) -> int:
    """Print all checks; 1 if something required is missing."""
    from hs2s_core.doctor import Check, check_all

    checks = check_all()
    missing = [check for check in checks if not check.ok and check.required]
    if args.json:
        print(json.dumps([dataclasses.asdict(check) for check in checks], indent=2))
        return MISSING if missing else 0

    def state(check: Check) -> str:
        if check.ok:
            return "ok"
        return "MISSING" if check.required else "optional"

    width = max(len(check.name) for check in checks)
    for check in checks:
        print(f"{state(check):<8}  {check.name:<{width}}  {check.found}")
        if not check.ok and check.mend:
            print(f"{'':<8}  {'':<{width}}  -> {check.mend}")
    if missing:
        print(f"\nMend what is MISSING, from the top: {', '.join(c.name for c in missing)}.")
    else:
        print("\nAll that is required is there.")
    return MISSING if missing else 0
