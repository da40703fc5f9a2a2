"""An evaluation run as FiftyOne knows it: listed, loaded, renamed and deleted with its fields.

FiftyOne stores the import path of these classes with a run and looks up ``<Name>Evaluation`` and
``<Name>EvaluationResults`` beside ``<Name>EvaluationConfig``, hence the names.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from bson import ObjectId
from fiftyone.core.collections import SampleCollection
from fiftyone.utils.eval.detection import (
    DetectionEvaluation,
    DetectionEvaluationConfig,
    DetectionResults,
)

from hs2s_core.checked.calls import checked_call
from hs2s_core.errors import HS2SError
from hs2s_core.evaluation import (
    EvaluationTable,
    Protocol,
    Rows,
    Summary,
    VideoFailure,
    format_table,
)
from hs2s_core.evaluation.scores import summarise

from ..labels.frame_fields import bare, label_list
from . import fields
from .fields import METHOD
from .scoring import matches, metric_values
from .stored import from_text, to_text

_MODULE = "hs2s_fiftyone.evaluation.backend"
_OF_MATCHES = ("ytrue", "ypred", "ious", "confs", "ytrue_ids", "ypred_ids", "classes")


class _Stored:
    """What FiftyOne stores by its import path."""

    @property
    def cls(self) -> str:
        """Import path; the same however FiftyOne found the plugin."""
        return f"{_MODULE}.{type(self).__name__}"


class VOSEvaluationConfig(_Stored, DetectionEvaluationConfig):
    """What was evaluated against what, and how; the two fields start with ``frames.``."""

    def __init__(
        self,
        pred_field: str,
        gt_field: str,
        protocol: dict[str, Any] | None = None,
        match: str = "ids",
        iou: float | None = None,
        classwise: bool | None = None,
        **kwargs: Any,
    ) -> None:
        """Of ``iou`` and ``classwise`` FiftyOne's panel shows the values below."""
        super().__init__(pred_field, gt_field, iou=0.5, classwise=False, **kwargs)
        self.protocol = protocol
        self.match = match

    @property
    def method(self) -> str:
        """Name of the method, for ``dataset.list_evaluations(method=...)``."""
        return METHOD


class VOSEvaluation(DetectionEvaluation):
    """The run: its fields are those of ``fields``; the truth has none."""

    def get_fields(
        self, samples: SampleCollection, eval_key: str, include_custom_metrics: bool = True
    ) -> list[str]:
        """All fields that the run wrote."""
        below = fields.frame_fields(eval_key, self._items(samples, eval_key))
        return [*fields.sample_fields(eval_key), *(f"frames.{path}" for path in below)]

    def rename(self, samples: SampleCollection, eval_key: str, new_eval_key: str) -> None:
        """Called by FiftyOne before the run gets its new key.

        FiftyOne logs an error and gives the key all the same; then the fields keep their names.
        """
        dataset = samples._dataset
        fields.rename(dataset, eval_key, new_eval_key, self._field(samples, eval_key))
        fields.rename_views(dataset, eval_key, new_eval_key)
        samples._rename_sidebar_group(eval_key, new_eval_key)

    def cleanup(self, samples: SampleCollection, eval_key: str) -> None:
        """Called by FiftyOne before the run is deleted or overwritten."""
        dataset = samples._dataset
        fields.remove(dataset, eval_key, self._items(samples, eval_key))
        fields.delete_views(dataset, eval_key)
        samples._delete_empty_sidebar_group(eval_key)

    def validate_run(self, samples: SampleCollection, key: str, overwrite: bool = True) -> None:
        """FiftyOne's check, which also compares classes: these may have been imported twice."""
        if key in self.list_runs(samples):
            existing = self.get_run_info(samples, key).config
            if getattr(existing, "cls", None) == self.config.cls:
                return
        super().validate_run(samples, key, overwrite=overwrite)

    def _field(self, samples: SampleCollection, eval_key: str) -> str:
        """The prediction field, below a frame."""
        return fields.written_field(samples._dataset, eval_key, bare(self.config.pred_field))

    def _items(self, samples: SampleCollection, eval_key: str) -> str | None:
        return label_list(samples, self._field(samples, eval_key))


class VOSEvaluationResults(_Stored, DetectionResults):
    """What a run found: every row, its scores, and what FiftyOne's evaluation panel shows of it.

    There, an object in a frame is a true positive where J is at least 0.5.
    """

    def __init__(
        self,
        samples: SampleCollection,
        config: VOSEvaluationConfig,
        eval_key: str,
        rows: Rows,
        sample_ids: Sequence[str],
        *,
        failures: list[VideoFailure] | None = None,
        notes: list[str] | None = None,
        custom_metrics: dict[str, Any] | None = None,
        backend: VOSEvaluation | None = None,
    ) -> None:
        super().__init__(
            samples, config, eval_key, [], custom_metrics=custom_metrics, backend=backend
        )
        for name in _OF_MATCHES:
            del self.__dict__[name]
        self.rows = rows
        """All rows as columns (``rows.j``, ``rows.records``), quick even for large runs."""
        self.failures = failures or []
        """Videos that could not be evaluated, and why."""
        self.notes = notes or []
        """What the reader of the numbers should know."""
        self._sample_ids = sample_ids
        self._chosen: npt.NDArray[np.bool_] | None = None
        self.run_id: ObjectId | None = None
        """The stored run that these results belong to, once that is known."""

    def __str__(self) -> str:
        return format_table(self.table)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.summary._repr_html_()

    def __getattr__(self, name: str) -> Any:
        """FiftyOne's lists of matches, made when they are first asked for: they are large."""
        if name not in _OF_MATCHES:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        made = DetectionResults(
            self._samples, self._config, self._key, matches(self.rows), backend=self._backend
        )
        self.__dict__.update({each: getattr(made, each) for each in _OF_MATCHES})
        return self.__dict__[name]

    @property
    def protocol(self) -> Protocol:
        """The protocol that every number of these results follows."""
        return Protocol(**self.config.protocol)

    @property
    def sample_ids(self) -> dict[str, str]:
        """Sample by the name of the video in the table."""
        names = [video.name for video in self.rows.videos]
        return dict(zip(names, self._sample_ids, strict=True))

    @cached_property
    def table(self) -> EvaluationTable:
        """The rows with their protocol: for the reports, curves and exports of ``hs2s_core``."""
        return EvaluationTable(self.protocol, self.rows, tuple(self.failures), tuple(self.notes))

    @cached_property
    def summary(self) -> Summary:
        """Scores per object, video and group, and overall."""
        return self.table.summary()

    def metrics(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """FiftyOne's metrics of the matches, and J, F and J&F; of the subset, if one is set."""
        summary = self.summary
        if self._chosen is not None:
            summary = summarise(self.rows[self._chosen], self.protocol)
        return {**super().metrics(*args, **kwargs), **metric_values(summary)}

    def use_subset(self, subset_def: Any) -> VOSEvaluationResults:
        """Restrict these results, J, F and J&F too; for the forms of a subset see FiftyOne.

        Objects stay if the subset leaves one of their truth labels visible.
        """
        super().use_subset(subset_def)
        _, path = self.samples._get_label_field_path(self.config.gt_field, "_id")
        visible = {label.binary for label in self.samples.values(path, unwind=True)}
        rows, ids = self.rows, self.rows.records["truth_id"]
        shown = np.array([value.tobytes() in visible for value in ids], np.bool_)
        kept = np.isin(rows.owner, rows.owner[shown])
        self._chosen = shown | (kept & ~rows.in_truth)
        return self

    def clear_subset(self) -> None:
        """Back to the full results."""
        super().clear_subset()
        self._chosen = None

    def serialize(self, reflective: bool = False) -> dict[str, Any]:
        """For the database; FiftyOne's own lists are rebuilt from the rows.

        They are stored empty, so that the run still opens where this plugin is not installed.
        """
        return {
            "cls": self.cls,
            **{name: [] for name in ("ytrue", "ypred", "ious")},
            "custom_metrics": self.custom_metrics,
            "columns": to_text(self.rows, self._sample_ids),
            "failures": [list(failure) for failure in self.failures],
            "notes": self.notes,
        }

    @classmethod
    def _from_dict(
        cls, d: dict[str, Any], samples: SampleCollection, config: Any, eval_key: str, **kwargs: Any
    ) -> VOSEvaluationResults:
        return cls(
            samples,
            config,
            eval_key,
            *from_text(d["columns"]),
            failures=[VideoFailure(*failure) for failure in d["failures"]],
            notes=d["notes"],
            custom_metrics=d.get("custom_metrics"),
            **kwargs,
        )


@checked_call
def list_evaluations(dataset: SampleCollection) -> list[str]:
    """Keys of the finished evaluations of this kind, in alphabetical order."""
    keys = dataset.list_evaluations(method=METHOD)
    return [key for key in keys if dataset._root_dataset._doc.evaluations[key].results]


@checked_call
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


@checked_call
def load_table(dataset: SampleCollection, eval_key: str) -> EvaluationTable:
    """All rows of an evaluation, with its protocol, failures and notes.

    ``load_results`` has more: the sample of each video (``sample_ids``).

    Raises HS2SError as ``load_results`` does.
    """
    return load_results(dataset, eval_key).table
