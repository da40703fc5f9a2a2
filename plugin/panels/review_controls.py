"""What the reader of the panel chose: evaluations, order and filters, and how they are shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from fiftyone.operators import types

from hs2s_core.evaluation.lengths import LENGTH_BINS, length_bin

from ..operators.form import dropdown
from .layout import add_choice, fitting
from .review_data import ORDERS, SIZES, Evaluated, Filters, object_sizes

ALL = "all"
NONE = "none"
SEEN = {"seen": True, "unseen": False}
_ORDER_LABELS = {
    "worst": "Worst first",
    "length": "Longest first",
    "drop": "Largest drop first",
    "change": "Largest loss first",
}
_SIZE_LABELS = {
    ALL: "All sizes",
    "small": "Small (below 1 % of the frame)",
    "medium": "Medium (1 to 10 %)",
    "large": "Large (from 10 %)",
}
_NARROWEST = 150
"""Pixels of a dropdown: two find room beside each other in half of a laptop's window."""
_SEEN_LABELS = {ALL: "Seen and unseen", "seen": "Seen", "unseen": "Unseen"}


@dataclass(frozen=True)
class Controls:
    """One value per control, each as the browser sends it."""

    run: str
    """Key of the evaluation."""
    other: str = NONE
    """Key of the evaluation it is compared with."""
    order: str = ORDERS[0]
    categories: tuple[str, ...] = ()
    seen: str = ALL
    size: str = ALL
    length: str = ALL
    only_view: bool = False
    """Only the videos of the App's current view, with the sidebar's filters."""

    @classmethod
    def read(cls, state: Mapping[str, Any] | None, runs: Sequence[str]) -> Controls:
        """Values of the panel's state; what no control has falls back to the default."""
        given = {key: value for key, value in (state or {}).items() if value}
        found = cls(run=_one_of(given.get("run"), runs, runs[0]))
        categories = given.get("categories", ())
        found = replace(
            found,
            other=_one_of(given.get("other"), [key for key in runs if key != found.run], NONE),
            categories=tuple([categories] if isinstance(categories, str) else categories),
            seen=_one_of(given.get("seen"), SEEN, ALL),
            size=_one_of(given.get("size"), _SIZE_LABELS, ALL),
            length=given.get("length", ALL),
            only_view=given.get("only_view") is True,
        )
        orders = ORDERS if found.other != NONE else ORDERS[:-1]
        return replace(found, order=_one_of(given.get("order"), orders, ORDERS[0]))

    def offered(self, options: Mapping[str, Any]) -> Controls:
        """Without choices that these evaluations do not have; the panel's state outlives many."""
        return replace(
            self,
            categories=tuple(name for name in self.categories if name in options["categories"]),
            seen=self.seen if options["seen"] else ALL,
            size=_one_of(self.size, options["sizes"], ALL),
            length=_one_of(self.length, options["lengths"], ALL),
        )

    @property
    def filtered(self) -> bool:
        """Whether not all objects are shown."""
        return self != self.unfiltered()

    def unfiltered(self) -> Controls:
        """The same evaluations and order, of all objects."""
        return Controls(run=self.run, other=self.other, order=self.order)

    @property
    def runs(self) -> list[str]:
        """The evaluations to look at, one or two."""
        return [self.run] if self.other == NONE else [self.run, self.other]

    @property
    def filters(self) -> Filters:
        """Which objects to look at."""
        return Filters(
            categories=frozenset(self.categories),
            seen=SEEN.get(self.seen),
            sizes=frozenset() if self.size == ALL else frozenset({self.size}),
            lengths=frozenset() if self.length == ALL else frozenset({self.length}),
        )

    def to_state(self) -> dict[str, Any]:
        """For the panel's state."""
        return {**asdict(self), "categories": list(self.categories)}


def find_options(evaluated: Sequence[Evaluated]) -> dict[str, Any]:
    """What there is to filter by in some evaluations; a filter without a choice is not shown."""
    lengths = {length_bin(int(length)) for each in evaluated for length in each.rows.lengths}
    infos = [info for each in evaluated for info in each.rows.infos]
    bins = [length_bin(last) for last in LENGTH_BINS] + [length_bin(LENGTH_BINS[-1] + 1)]
    sizes = {name for each in evaluated for name in object_sizes(each)}
    return {
        "categories": sorted({info.category for info in infos if info.category}),
        "lengths": [name for name in bins if name in lengths],
        "sizes": [name for name in SIZES if name in sizes],
        "seen": any(info.seen is not None for info in infos),
    }


def add_controls(
    panel: types.Object,
    controls: Controls,
    runs: Sequence[str],
    options: Mapping[str, Any],
    on_change: Callable[..., object],
) -> None:
    """The row of dropdowns, as the property ``controls``."""
    row = panel.grid("controls", gap=1, **fitting(_NARROWEST))

    def add(name: str, label: str, choices: Mapping[str, str] | Iterable[str]) -> None:
        add_choice(row, name, label, choices, getattr(controls, name), on_change)

    add("run", "Evaluation", runs)
    if len(runs) > 1:
        others = {key: key for key in runs if key != controls.run}
        add("other", "Compare with", {NONE: "Nothing", **others})
    orders = ORDERS if controls.other != NONE else ORDERS[:-1]
    add("order", "Heat map", {order: _ORDER_LABELS[order] for order in orders})
    if len(options["lengths"]) > 1:
        add("length", "Video length", {ALL: "All lengths"} | {b: b for b in options["lengths"]})
    if len(options["sizes"]) > 1:
        shown = (ALL, *options["sizes"])
        add("size", "Object size", {size: _SIZE_LABELS[size] for size in shown})
    if options["seen"]:
        add("seen", "In training", _SEEN_LABELS)
    if len(options["categories"]) > 1:
        names = options["categories"]
        view = dropdown(names, label="Category", placeholder="All categories", multiple=True)
        row.list(
            "categories",
            types.String(),
            default=list(controls.categories),
            view=view,
            on_change=on_change,
        )
    row.bool(
        "only_view",
        label="Only the current view",
        default=controls.only_view,
        view=types.SwitchView(),
        on_change=on_change,
    )


def _one_of(value: Any, choices: Any, default: str) -> str:
    return value if value in choices else default
