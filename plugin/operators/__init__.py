"""The operators of the plugin; each class in ``OPERATORS`` also has its line in fiftyone.yml."""

from .evaluate_vos import EvaluateVos
from .load_vos_dataset import LoadVosDataset
from .metrics import MetricF, MetricJ, MetricJF
from .propagate_masks import PropagateMasks

OPERATORS = (PropagateMasks, LoadVosDataset, EvaluateVos, MetricJF, MetricJ, MetricF)

__all__ = [
    "OPERATORS",
    "EvaluateVos",
    "LoadVosDataset",
    "MetricF",
    "MetricJ",
    "MetricJF",
    "PropagateMasks",
]
