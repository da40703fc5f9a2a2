"""J, F and J&F as FiftyOne's own evaluation metrics.

Evaluations by "Evaluate masks (J&F)" carry these numbers already. These operators add them to
FiftyOne's own evaluations of video masks::

    dataset.evaluate_detections(
        "frames.hs2s", gt_field="frames.ground_truth", eval_key="coco",
        custom_metrics={"@hs2s/vos/metric_jf": {"protocol": "davis2017"}},
    )
"""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
from fiftyone.core.collections import SampleCollection
from fiftyone.operators import types

from hs2s_core.evaluation import PROTOCOLS, Summary

from ..evaluation import DEFAULT_PROTOCOL, score
from ..evaluation.scoring import METRICS, metric_operator, metric_values
from .form import dropdown


class _Metric(foo.EvaluationMetric):
    """One of the three numbers of an evaluation of frame-level masks."""

    key: str

    @property
    def config(self) -> foo.EvaluationMetricConfig:
        config = foo.EvaluationMetricConfig(
            name=metric_operator(self.key),
            label=METRICS[self.key],
            description=f"{METRICS[self.key]} of masks in videos, by a named protocol",
            eval_types=["detection"],
            aggregate_key=self.key,
            lower_is_better=False,
            unlisted=True,
        )
        # FiftyOne looks for it among the leftover arguments only.
        config.kwargs["lower_is_better"] = False
        return config

    def resolve_input(self, ctx: foo.ExecutionContext) -> types.Property:
        """Which frames and objects count."""
        inputs = types.Object()
        inputs.enum(
            "protocol",
            list(PROTOCOLS),
            default=DEFAULT_PROTOCOL,
            label="Protocol",
            view=dropdown({name: entry.description for name, entry in PROTOCOLS.items()}),
        )
        return types.Property(inputs)

    def compute(
        self, samples: SampleCollection, results: Any, protocol: str = DEFAULT_PROTOCOL
    ) -> float | None:
        """The metric of an evaluation's fields; None if no frame counts."""
        return metric_values(_summary(samples, results, protocol)).get(self.key)


def _summary(samples: SampleCollection, results: Any, protocol: str) -> Summary:
    """Scores of the evaluated fields, computed once for the three metrics."""
    config = results.config
    kept: dict[str, Summary] = getattr(results, "_vos_summaries", {})
    if protocol not in kept:
        kept[protocol] = score(samples, config.pred_field, config.gt_field, protocol)
        results._vos_summaries = kept
    return kept[protocol]


class MetricJF(_Metric):
    key = "jf"


class MetricJ(_Metric):
    key = "j"


class MetricF(_Metric):
    key = "f"
