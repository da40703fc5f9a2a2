"""An evaluation table as text for a terminal, the protocol always on top of its numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hs2s_core.checked.calls import checked_call
from hs2s_core.evaluation.lengths import absences, early_late, first_failures, recoveries
from hs2s_core.evaluation.rows import ObjectKey, Rows
from hs2s_core.evaluation.scores import HEADINGS, Summary
from hs2s_core.evaluation.table import EvaluationTable
from hs2s_core.wording import counted, some


@checked_call
def format_table(table: EvaluationTable, *, objects: bool = False) -> str:
    """Return protocol, scores, early/late means, failures and notes; scores in percent.

    Args:
        table: what to print.
        objects: one line per object instead of one per video.
    """
    summary = table.summary()
    lines = [f"Protocol {table.protocol.description}. Scores in percent."]
    if not summary.objects:
        lines += ["", "No frame counts under this protocol, so there is no score."]
    else:
        lines += ["", *_score_block(summary, objects), "", *_time_lines(table.rows)]
    lines += [f"note: {note}" for note in (*score_notes(summary), *table.notes)]
    lines += [f"failed: {failure.video}: {failure.reason}" for failure in table.failures]
    return "\n".join(lines)


def _score_block(summary: Summary, objects: bool) -> Iterator[str]:
    """Yield an aligned block: a line per video or object, per group, and overall."""
    named = list(summary.lines(objects=objects))
    width = max(len(name) for name, _ in named)
    yield " " * width + "".join(f"{heading:>10}" for heading in HEADINGS)
    for name, values in named:
        yield f"{name:<{width}}" + "".join(f"{value:>10}" for value in values)


def _time_lines(rows: Rows) -> Iterator[str]:
    """Yield the analysis over time: early and late means, losses, returns, absences."""
    split = early_late(rows)
    yield "by annotated frames since the prompt, t:"
    for name, segment in (
        ("t < 10", split.early),
        ("t > 10", split.late_after_10),
        ("t > 20", split.late),
    ):
        if segment is not None:
            yield (
                f"  {name}: J&F {100 * segment.jf:.2f}, J {100 * segment.j:.2f}, "
                f"F {100 * segment.f:.2f}, {counted(segment.objects, 'object')}"
            )
    failures = first_failures(rows)
    lost = sum(frame is not None for frame in failures.values())
    yield f"lost (J < 0.5 for 3 frames): {lost} of {counted(len(failures), 'object')}"
    if returns := recoveries(rows):
        found = sum(delay is not None for delay in returns)
        yield f"found again after an absence: {found} of {counted(len(returns), 'time')}"
    if away := absences(rows).values():
        frames, false = (sum(counts) for counts in zip(*away, strict=True))
        yield f"predicted though absent: {false} of {counted(frames, 'frame')}"


def score_notes(summary: Summary) -> Iterator[str]:
    """Yield what the reader of the scores should know of the means they came from."""
    unknown = summary.seen_unknown
    if summary.protocol.by_seen and unknown:
        if len(unknown) == len(summary.objects):
            yield (
                "seen and unseen categories are not known (no meta.json that says), so the mean is "
                "over all objects."
            )
        else:
            yield (
                "there is no overall score: meta.json says seen or unseen of others, but not of "
                f"{counted(len(unknown), 'object')} ({_some(unknown)}); give every object a "
                "category there, or use a protocol that does not tell seen from unseen."
            )
    if summary.uncounted:
        yield (
            f"{counted(len(summary.uncounted), 'object')} without a frame that counts, in no mean: "
            f"{_some(summary.uncounted)}. Annotations of first frames alone (a benchmark's public "
            "part) can only be scored by its server."
        )


def _some(objects: Sequence[ObjectKey]) -> str:
    return some(f"{video}/{key}" for video, key in objects)
