"""Errors a user can act on: what was found, what was expected, what to do."""

from __future__ import annotations

__all__ = [
    "HS2SError",
    "InvalidConfig",
    "InvalidDataset",
    "InvalidMask",
    "InvalidMedia",
    "InvalidWeights",
]


class HS2SError(ValueError):
    """Base of every error raised on bad input, bad files or a missing requirement."""


class InvalidMask(HS2SError):
    """A prompt, label or mask file that cannot be used as an object mask."""


class InvalidMedia(HS2SError):
    """A video file or frame folder that cannot be read."""


class InvalidDataset(HS2SError):
    """A dataset folder or its metadata that does not follow the expected layout."""


class InvalidWeights(HS2SError):
    """A weights file or checkpoint whose tensors do not fit the model."""


class InvalidConfig(HS2SError):
    """A model or training configuration that cannot be built."""
