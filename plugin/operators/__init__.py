"""The operators of the plugin; each class in ``OPERATORS`` also has its line in fiftyone.yml."""

from .load_vos_dataset import LoadVosDataset
from .propagate_masks import PropagateMasks

OPERATORS = (PropagateMasks, LoadVosDataset)

__all__ = ["OPERATORS", "LoadVosDataset", "PropagateMasks"]
