"""Where an evaluation says to look: worst videos, late failures, lost objects, false positives.

Each function returns a view of the dataset that was evaluated; :func:`save_views` saves them all
under clear names. Views list the samples and frames that the evaluation found, so they stay as they
are when the data changes; they are renamed and deleted with the evaluation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median

import fiftyone as fo
from fiftyone.core.collections import SampleCollection

from hs2s_core.checked.calls import checked_call
from hs2s_core.errors import HS2SError
from hs2s_core.evaluation.lengths import FAILURE_FRAMES, LATE, Streak, losses, streaks

from .evaluation import VOSEvaluationResults, load_results
from .videos.clips import Span, merged
from .videos.collection import select_videos

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
    frames = results.rows.lengths.tolist()
    lengths = dict(zip(results.sample_ids.values(), frames, strict=True))
    least = median(lengths.values()) if min_frames is None and lengths else min_frames or 0
    first: dict[int, Streak] = {}
    for loss in losses(results.rows):
        first.setdefault(loss.object, loss)
    late: Counter[str] = Counter()
    for loss in first.values():
        sample_id = _sample(results, loss)
        if lengths[sample_id] >= least and results.rows.t[loss.places[0]] > LATE[0]:
            late[sample_id] += 1
    scores = _scores(results)
    return _ordered(dataset, sorted(late, key=lambda key: (-late[key], scores.get(key, 0.0))))


def failing_clips(
    dataset: SampleCollection, eval_key: str, frames: int = FAILURE_FRAMES
) -> fo.DatasetView:
    """One clip for every stretch in which an object's J is below 0.5 for so many annotated frames.

    Stretches of different objects that overlap become one clip.
    """
    results = load_results(dataset, eval_key)
    return _clips(dataset, results, losses(results.rows, frames=frames))


def lost_objects(
    dataset: SampleCollection, eval_key: str, frames: int = FAILURE_FRAMES
) -> fo.DatasetView:
    """One clip for every object that is lost and not found again, to its last visible frame."""
    results = load_results(dataset, eval_key)
    rows = results.rows
    lost = (loss for loss in losses(rows, frames=frames, among=rows.in_truth) if loss.last)
    return _clips(dataset, results, lost, arrange=sorted)


def false_positives(dataset: SampleCollection, eval_key: str) -> fo.DatasetView:
    """Clips in which an object is predicted although the truth shows that it is out of sight."""
    results = load_results(dataset, eval_key)
    rows = results.rows
    cut = streaks(rows, rows.in_prediction & ~rows.in_truth)
    return _clips(dataset, results, (stretch for stretch in cut if stretch.holds))


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


@checked_call
def save_views(
    dataset: SampleCollection, eval_key: str, which: str | Iterable[str] | None = None
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
    asked = [which] if isinstance(which, str) else list(VIEWS if which is None else which)
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
    return any(info.seen is not None for info in results.rows.infos)


# ---------------------------------------------------------------- rows


def _sample(results: VOSEvaluationResults, stretch: Streak) -> str:
    video, _ = results.rows.objects[stretch.object]
    return results.sample_ids[video]


def _scores(results: VOSEvaluationResults) -> dict[str, float]:
    """J&F by sample id, of the videos with a counted frame."""
    ids = results.sample_ids
    return {ids[video]: score.jf for video, score in results.summary.videos.items()}


def _by_seen(dataset: SampleCollection, eval_key: str, *, seen: bool) -> fo.DatasetView:
    results = load_results(dataset, eval_key)
    if not knows_seen(results):
        raise HS2SError(
            f"the evaluation {eval_key!r} does not know which categories were seen in training; "
            "evaluate again with `seen_categories`, or load the dataset with its training split."
        )
    scores, sample_ids = _scores(results), results.sample_ids
    flags: dict[str, bool] = {}
    for (video, _), info in zip(results.rows.objects, results.rows.infos, strict=True):
        flags[sample_ids[video]] = flags.get(sample_ids[video], True) and info.seen is not False
    chosen = [sample_id for sample_id, known in flags.items() if known is seen]
    return _ordered(dataset, sorted(chosen, key=lambda sample_id: scores.get(sample_id, 2.0)))


# ---------------------------------------------------------------- views


def _ordered(dataset: SampleCollection, sample_ids: list[str]) -> fo.DatasetView:
    return select_videos(dataset._root_dataset, sample_ids, ordered=True)


def _clips(
    dataset: SampleCollection,
    results: VOSEvaluationResults,
    cut: Iterable[Streak],
    *,
    arrange: Callable[[Iterable[Span]], list[Span]] = merged,
) -> fo.DatasetView:
    """Clips of these stretches, worst videos first; by default those that overlap become one."""
    scores, frames = _scores(results), results.rows.records["frame"]
    found: dict[str, set[Span]] = {}
    for stretch in cut:
        first, last = frames[stretch.places[[0, -1]]].tolist()
        found.setdefault(_sample(results, stretch), set()).add((first + 1, last + 1))
    # Samples may have been deleted since, and clips must be given for each sample of the view.
    known = set(select_videos(dataset._root_dataset, list(found)).values("id"))
    order = sorted(known, key=lambda sample_id: (scores.get(sample_id, 2.0), sample_id))
    view = _ordered(dataset, order)
    if not order:
        return view
    return view.to_clips([[list(clip) for clip in arrange(found[key])] for key in order])
