"""The panels of the plugin; each class in ``PANELS`` also has its line in fiftyone.yml."""

from .length_review import LengthReview
from .mask_strip import MaskStrip

PANELS = (LengthReview, MaskStrip)
