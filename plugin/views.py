"""Where an evaluation says to look: worst videos, late failures, lost objects, false positives.

Each function returns a view of the dataset that was evaluated; :func:`save_views` saves them all
under clear names. Views list the samples and frames that the evaluation found, so they stay as they
are when the data changes; they are renamed and deleted with the evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median

import fiftyone as fo
from fiftyone.core.collections import SampleCollection

from hs2s_core.errors import HS2SError
from hs2s_core.evaluation import Row, by_object
from hs2s_core.evaluation.lengths import FAILURE_FRAMES, FAILURE_THRESHOLD, LATE

from .evaluation import VOSEvaluationResults, load_results
from .videos import select_videos

__all__ = [
    "VIEWS",
    "ReviewView",
    "failing_clips",
    "false_positives",
    "late_failures",
    "lost_objects",
    "save_views",
    "seen_sequences",
    "unseen_sequences",
    "worst_sequences",
]

Stretches = Mapping[str, list[tuple[int, int]]]
"""First and last frame number of stretches of a video, by sample id."""


def worst_sequences(dataset: SampleCollection, eval_key: str, limit: int = 25) -> fo.DatasetView:
    """The videos of lowest J&F, worst first."""
    scores = _scores(load_results(dataset, eval_key))
    return _ordered(dataset, sorted(scores, key=lambda sample_id: scores[sample_id])[:limit])


def late_failures(
    dataset: SampleCollection, eval_key: str, min_frames: int | None = None
) -> fo.DatasetView:
    """Long videos in which an object is lost after more than 20 annotated frames.

    An object is lost where its J is below 0.5 in 3 annotated frames in a row. Videos are sorted by
    the number of such objects, then by J&F.

    Args:
        dataset: the dataset that was evaluated.
        eval_key: its evaluation.
        min_frames: how many annotated frames make a video long; by default the median.
    """
    results = load_results(dataset, eval_key)
    lengths = _lengths(results)
    least = median(lengths.values()) if min_frames is None and lengths else min_frames or 0
    late: dict[str, int] = {}
    for sample_id, track in _tracks(results):
        runs = _runs(track, _is_lost)
        first = next((run for run in runs if len(run) >= FAILURE_FRAMES), None)
        if lengths[sample_id] >= least and first and first[0].since_prompt > LATE[0]:
            late[sample_id] = late.get(sample_id, 0) + 1
    scores = _scores(results)
    return _ordered(dataset, sorted(late, key=lambda key: (-late[key], scores.get(key, 0.0))))


def failing_clips(
    dataset: SampleCollection, eval_key: str, frames: int = FAILURE_FRAMES
) -> fo.DatasetView:
    """One clip for every stretch in which an object's J is below 0.5 for so many annotated frames.

    Stretches of different objects that overlap become one clip.
    """
    results = load_results(dataset, eval_key)
    found: dict[str, list[tuple[int, int]]] = {}
    for sample_id, track in _tracks(results):
        for run in _runs(track, _is_lost):
            if len(run) >= frames:
                found.setdefault(sample_id, []).append(_ends(run))
    return _clips(dataset, results, {key: _merge(runs) for key, runs in found.items()})


def lost_objects(
    dataset: SampleCollection, eval_key: str, frames: int = FAILURE_FRAMES
) -> fo.DatasetView:
    """One clip for every object that is lost and not found again, to its last visible frame."""
    results = load_results(dataset, eval_key)
    found: dict[str, list[tuple[int, int]]] = {}
    for sample_id, track in _tracks(results):
        visible = [row for row in track if row.in_truth]
        runs = _runs(visible, _is_lost)
        if runs and runs[-1][-1] is visible[-1] and len(runs[-1]) >= frames:
            found.setdefault(sample_id, []).append(_ends(runs[-1]))
    return _clips(dataset, results, {key: sorted(set(runs)) for key, runs in found.items()})


def false_positives(dataset: SampleCollection, eval_key: str) -> fo.DatasetView:
    """Clips in which an object is predicted although the truth shows that it is out of sight."""
    results = load_results(dataset, eval_key)
    found: dict[str, list[tuple[int, int]]] = {}
    for sample_id, track in _tracks(results):
        for run in _runs(track, lambda row: row.in_prediction and not row.in_truth):
            found.setdefault(sample_id, []).append(_ends(run))
    return _clips(dataset, results, {key: _merge(runs) for key, runs in found.items()})


def seen_sequences(dataset: SampleCollection, eval_key: str) -> fo.DatasetView:
    """Videos all of whose objects are of categories seen in training, worst first.

    Raises HS2SError if the evaluation does not know which categories were seen.
    """
    return _by_seen(dataset, eval_key, seen=True)


def unseen_sequences(dataset: SampleCollection, eval_key: str) -> fo.DatasetView:
    """Videos with an object of a category not seen in training, worst first.

    Raises HS2SError if the evaluation does not know which categories were seen.
    """
    return _by_seen(dataset, eval_key, seen=False)


@dataclass(frozen=True)
class ReviewView:
    """A view that can be made of every evaluation."""

    label: str
    make: Callable[[SampleCollection, str], fo.DatasetView]
    description: str

    def name(self, eval_key: str) -> str:
        """Under which it is saved."""
        return f"{eval_key}: {self.label}"


VIEWS = {
    "worst": ReviewView("worst sequences", worst_sequences, "the 25 videos of lowest J&F"),
    "late": ReviewView(
        "long, failing late", late_failures, "long videos whose objects are lost after 20 frames"
    ),
    "failing": ReviewView(
        "failing clips", failing_clips, "stretches in which an object's J is below 0.5"
    ),
    "lost": ReviewView(
        "lost objects", lost_objects, "from where an object is lost for good to its last frame"
    ),
    "false_positives": ReviewView(
        "false positives", false_positives, "objects predicted while out of sight"
    ),
    "seen": ReviewView("seen categories", seen_sequences, "videos with seen categories only"),
    "unseen": ReviewView("unseen categories", unseen_sequences, "videos with an unseen category"),
}
"""By a short name; also the order in which they are offered."""


def save_views(
    dataset: SampleCollection, eval_key: str, which: Iterable[str] | None = None
) -> dict[str, int]:
    """Save views of an evaluation with the dataset; those of an earlier call are replaced.

    Args:
        dataset: the dataset that was evaluated.
        eval_key: its evaluation.
        which: keys of ``VIEWS``; by default all. Empty ones are not saved, and neither are seen and
            unseen where the evaluation does not know which categories were seen.

    Returns:
        How many videos or clips each saved view has, by its name.
    """
    root = dataset._root_dataset
    asked = list(VIEWS if which is None else which)
    if unknown := [key for key in asked if key not in VIEWS]:
        raise HS2SError(f"there is no view {unknown[0]!r}; expected some of {', '.join(VIEWS)}.")
    known = knows_seen(load_results(root, eval_key))
    saved = {}
    for key in asked:
        entry = VIEWS[key]
        name = entry.name(eval_key)
        if root.has_saved_view(name):
            root.delete_saved_view(name)
        if entry.make in (seen_sequences, unseen_sequences) and not known:
            continue
        view = entry.make(root, eval_key)
        count = len(view)
        if count:
            root.save_view(name, view, description=f"Evaluation {eval_key}: {entry.description}")
            saved[name] = count
    return saved


def knows_seen(results: VOSEvaluationResults) -> bool:
    """Whether the evaluation knows which categories were seen in training."""
    return any(flag is not None for flags in results.columns.seen for flag in flags.values())


# ---------------------------------------------------------------- rows


def _tracks(results: VOSEvaluationResults) -> Iterator[tuple[str, list[Row]]]:
    """Sample and rows after the prompt of each object, in time order."""
    rows = (row for row in results.table.rows if row.since_prompt > 0)
    for (video, _), track in by_object(rows).items():
        yield results.sample_ids[video], track


def _is_lost(row: Row) -> bool:
    return row.j < FAILURE_THRESHOLD


def _runs(track: Iterable[Row], inside: Callable[[Row], bool]) -> list[list[Row]]:
    """Stretches of consecutive rows for which ``inside`` holds."""
    runs: list[list[Row]] = []
    open_run = False
    for row in track:
        if inside(row):
            if not open_run:
                runs.append([])
            runs[-1].append(row)
        open_run = inside(row)
    return runs


def _ends(run: list[Row]) -> tuple[int, int]:
    """First and last frame number."""
    return run[0].frame + 1, run[-1].frame + 1


def _merge(runs: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join what overlaps."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(runs):
        if merged and first <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(last, merged[-1][1])
        else:
            merged.append((first, last))
    return merged


def _scores(results: VOSEvaluationResults) -> dict[str, float]:
    """J&F by sample id, of the videos with a counted frame."""
    ids = results.sample_ids
    return {ids[video]: score.jf for video, score in results.summary.videos.items()}


def _lengths(results: VOSEvaluationResults) -> dict[str, int]:
    """Number of annotated frames by sample id."""
    frames: dict[str, set[int]] = {}
    for row in results.table.rows:
        frames.setdefault(results.sample_ids[row.video], set()).add(row.frame)
    return {sample_id: len(numbers) for sample_id, numbers in frames.items()}


def _by_seen(dataset: SampleCollection, eval_key: str, *, seen: bool) -> fo.DatasetView:
    results = load_results(dataset, eval_key)
    if not knows_seen(results):
        raise HS2SError(
            f"the evaluation {eval_key!r} does not know which categories were seen in training; "
            "evaluate again with `seen_categories`, or load the dataset with its training split."
        )
    columns, scores = results.columns, _scores(results)
    flags = dict(zip(columns.sample_ids, columns.seen, strict=True))
    chosen = [
        sample_id
        for sample_id, known in flags.items()
        if known and (False not in known.values()) is seen
    ]
    return _ordered(dataset, sorted(chosen, key=lambda sample_id: scores.get(sample_id, 2.0)))


# ---------------------------------------------------------------- views


def _ordered(dataset: SampleCollection, sample_ids: list[str]) -> fo.DatasetView:
    return select_videos(dataset._root_dataset, sample_ids, ordered=True)


def _clips(
    dataset: SampleCollection, results: VOSEvaluationResults, found: Stretches
) -> fo.DatasetView:
    """Clips of these stretches, worst videos first."""
    scores = _scores(results)
    # Samples may have been deleted since, and clips must be given for each sample of the view.
    known = set(select_videos(dataset._root_dataset, list(found)).values("id"))
    order = sorted(known, key=lambda sample_id: (scores.get(sample_id, 2.0), sample_id))
    view = _ordered(dataset, order)
    if not order:
        return view
    return view.to_clips([[list(run) for run in found[sample_id]] for sample_id in order])
