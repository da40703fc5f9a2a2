"""Masks through a clip: :class:`Propagator` frame by frame, :func:`propagate` for all of it."""

from hs2s_core.propagation.clip import propagate
from hs2s_core.propagation.propagator import FrameResult, Propagator

__all__ = ["FrameResult", "Propagator", "propagate"]
