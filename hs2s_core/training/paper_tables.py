"""The paper's tables: which preset makes which row, and what the paper printed for it.

Numbers are of YouTube-VOS 2018 validation, in per cent: J seen, J unseen, F seen, F unseen,
overall; in table 2a J and F early, J and F late, on a hold-out of the training set. For
table 2b the overall is the mean of the four scores, which the paper does not print.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hs2s_core.errors import InvalidConfig

SCORES = ("J seen", "J unseen", "F seen", "F unseen", "overall")
EARLY_LATE = ("J early", "F early", "J late", "F late")


@dataclass(frozen=True)
class PaperRow:
    """One row of a table."""

    label: str
    preset: str
    """That makes it."""
    paper: tuple[float, ...]
    """What the paper printed, in the table's columns; empty for a row of ours."""


@dataclass(frozen=True)
class PaperTable:
    """One table."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[PaperRow, ...]


def _table(
    title: str, *rows: tuple[str, str, tuple[float, ...]], columns: tuple[str, ...] = SCORES
) -> PaperTable:
    return PaperTable(title, columns, tuple(PaperRow(*row) for row in rows))


_HS2S = (73.6, 58.5, 77.4, 66.0, 68.9)

TABLES: dict[str, PaperTable] = {
    "1": _table(
        "Table 1: systems",
        ("S2S", "s2s", (66.7, 48.2, 65.5, 50.3, 57.7)),
        ("S2S*", "s2s-star", ()),
        ("S2S++", "s2s++", (68.7, 48.9, 72.0, 54.4, 61.0)),
        ("HS2S", "hs2s", _HS2S),
        ("Bi-HS2S", "bi-hs2s", (74.9, 59.6, 78.0, 66.7, 69.8)),
        ("RAFT-HS2S", "raft-hs2s", (73.2, 58.7, 77.3, 66.1, 68.8)),
        ("HS2S-best (ours)", "hs2s-best", ()),
        ("S2S-lite (ours)", "s2s-lite", ()),
        ("HS2S-lite (ours)", "hs2s-lite", ()),
    ),
    "2a": _table(
        "Table 2a: early and late frames",
        ("S2S*", "s2s-star", (73.7, 74.4, 54.6, 54.5)),
        ("HS2S", "hs2s", (76.3, 77.1, 64.2, 65.5)),
        columns=EARLY_LATE,
    ),
    "2b": _table(
        "Table 2b: references",
        ("HS2S, frame 0", "hs2s-first", (72.6, 55.4, 76.7, 61.2, 66.5)),
        ("HS2S, frame t-1", "hs2s-previous", (72.2, 55.1, 76.1, 61.3, 66.2)),
        ("HS2S, both", "hs2s", _HS2S),
    ),
    "3": _table(
        "Table 3: encoders",
        ("VGG-16", "hs2s-vgg16", (71.4, 56.0, 74.9, 64.8, 66.8)),
        ("ResNet-50", "hs2s", _HS2S),
        ("ResNet-101", "hs2s-resnet101", (73.9, 58.5, 77.3, 66.2, 69.0)),
        ("DeepLab, no ASPP", "hs2s-deeplab", (73.3, 59.1, 77.2, 66.0, 68.9)),
        ("DeepLab, ASPP", "hs2s-deeplab-aspp", (72.3, 56.9, 76.5, 64.2, 67.4)),
        ("Axial-DeepLab", "hs2s-axial", (70.5, 55.0, 73.1, 61.8, 65.1)),
    ),
    "4": _table(
        "Table 4: memories",
        ("ConvLSTM", "hs2s", _HS2S),
        ("DeepRNN", "hs2s-deeprnn", (72.4, 57.3, 75.8, 64.9, 67.6)),
        ("Tensor-Train LSTM", "hs2s-tensor-train", (74.7, 60.2, 78.5, 66.4, 70.0)),
    ),
    "5": _table(
        "Table 5: fusions",
        ("global convolution", "hs2s", _HS2S),
        ("cosine similarity", "hs2s-cosine", (72.3, 56.4, 76.2, 62.5, 66.9)),
        ("axial attention", "hs2s-attention", (73.9, 58.7, 77.5, 66.3, 69.1)),
    ),
}


def find_tables(names: Sequence[str], presets: Sequence[str] = ()) -> dict[str, PaperTable]:
    """The tables called ``names``, if ``presets`` are given with only their rows.

    An unknown name is answered with the known ones.
    """
    unknown = [name for name in names if name not in TABLES]
    if unknown:
        raise InvalidConfig(f"no table {unknown[0]!r}; expected some of {', '.join(TABLES)}")
    tables = {name: TABLES[name] for name in names}
    if not presets:
        return tables
    known = list(dict.fromkeys(row.preset for table in tables.values() for row in table.rows))
    unknown = [preset for preset in presets if preset not in known]
    if unknown:
        raise InvalidConfig(f"no row {unknown[0]!r}; expected some of {', '.join(known)}")
    only = {
        name: replace(table, rows=tuple(row for row in table.rows if row.preset in presets))
        for name, table in tables.items()
    }
    return {name: table for name, table in only.items() if table.rows}
