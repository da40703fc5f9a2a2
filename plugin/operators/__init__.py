"""The operators of the plugin; each class in ``OPERATORS`` also has its line in fiftyone.yml."""

from .propagate_masks import PropagateMasks

OPERATORS = (PropagateMasks,)

__all__ = ["OPERATORS", "PropagateMasks"]
