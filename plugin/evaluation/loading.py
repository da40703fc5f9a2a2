"""Reading evaluations back from a dataset."""

from __future__ import annotations

from fiftyone.core.collections import SampleCollection

from hs2s_core.errors import HS2SError
from hs2s_core.evaluation import EvaluationTable

from .backend import VOSEvaluationResults
from .fields import METHOD


def list_evaluations(dataset: SampleCollection) -> list[str]:
    """Keys of the finished evaluations of this kind, in alphabetical order."""
    keys = dataset.list_evaluations(method=METHOD)
    return [key for key in keys if dataset._root_dataset._doc.evaluations[key].results]


def load_results(dataset: SampleCollection, eval_key: str) -> VOSEvaluationResults:
    """The results of an evaluation, from memory where it has them.

    Raises HS2SError if there is no such evaluation, it is of another kind, or did not finish.
    """
    if not dataset.has_evaluation(eval_key):
        known = ", ".join(list_evaluations(dataset)) or "none"
        raise HS2SError(f"there is no evaluation {eval_key!r}; expected one of: {known}.")
    method = dataset.get_evaluation_info(eval_key).config.method
    if method != METHOD:
        raise HS2SError(
            f"{eval_key!r} is an evaluation of another kind ({method}); expected one made by "
            "'Evaluate masks (J&F)'."
        )
    run = dataset._root_dataset._doc.evaluations[eval_key]
    results: VOSEvaluationResults | None = dataset.load_evaluation_results(eval_key)
    if results is not None and results.run_id not in (None, run.id):
        # FiftyOne remembers results by key, but another process has run the evaluation again.
        dataset._root_dataset._evaluation_cache.pop(eval_key, None)
        results = dataset.load_evaluation_results(eval_key)
    if results is None:
        raise HS2SError(
            f"the evaluation {eval_key!r} was stopped before it was finished; run it again."
        )
    results.run_id = run.id
    return results


def load_table(dataset: SampleCollection, eval_key: str) -> EvaluationTable:
    """All rows of an evaluation, with its protocol, failures and notes.

    ``load_results`` has more: the sample of each video (``sample_ids``).

    Raises HS2SError as ``load_results`` does.
    """
    return load_results(dataset, eval_key).table
