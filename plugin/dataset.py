"""Loading under the name that scripts know it by: ``from hs2s_fiftyone import dataset``.

The code is :mod:`.loading`'s.
"""

from .loading.dataset import LoadSummary, delete_unused_videos, load

__all__ = ["LoadSummary", "delete_unused_videos", "load"]
