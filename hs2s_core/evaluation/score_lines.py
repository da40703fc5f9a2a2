"""The lines of a table of scores, for terminals and notebooks."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from hs2s_core.evaluation.scores import GroupScore, ObjectScore, Summary

HEADINGS = ("J&F", "J mean", "J recall", "J decay", "F mean", "F recall", "F decay")


def score_lines(summary: Summary, *, objects: bool = False) -> Iterator[tuple[str, list[str]]]:
    """Name and values in percent, one for each of HEADINGS: per video, per group, overall.

    With ``objects``, a line per object instead of one per video.
    """
    named: list[tuple[str, ObjectScore | GroupScore]] = []
    if objects:
        named += [(f"{score.video}/{score.object}", score) for score in summary.objects]
    else:
        named += summary.videos.items()
    named += summary.groups.items()
    if summary.overall is not None:
        named.append(("overall", summary.overall))
    for name, score in named:
        j, f = score.j, score.f
        values = (score.jf, j.mean, j.recall, j.decay, f.mean, f.recall, f.decay)
        yield name, [f"{100 * value:.2f}" for value in values]


def html_scores(summary: Summary) -> str:
    """The scores of each video as an HTML table, its protocol as the caption."""
    head = "".join(f"<th>{escape(heading)}</th>" for heading in ("video", *HEADINGS))
    rows = "".join(
        f"<tr><td>{escape(name)}</td>{''.join(f'<td>{value}</td>' for value in values)}</tr>"
        for name, values in score_lines(summary)
    )
    caption = f"Protocol {summary.protocol.description}. Scores in percent."
    return (
        f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )
