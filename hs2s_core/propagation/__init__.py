"""Masks through a clip: :class:`Propagator` frame by frame, :func:`propagate` for all of it."""

from hs2s_core.propagation.propagator import FrameResult, Propagator
from hs2s_core.propagation.session import propagate

__all__ = ["FrameResult", "Propagator", "propagate"]
