"""Masks through a clip: :func:`propagate` for all of it, :class:`Propagator` frame by frame."""

from hs2s_core.prompts import Prompt, Prompts
from hs2s_core.propagation.clip import propagate
from hs2s_core.propagation.engine import Engine
from hs2s_core.propagation.propagator import FrameResult, Propagator
from hs2s_core.propagation.session import Session
from hs2s_core.propagation.signs import Sign, Suggestion, signs_of, suggest_frames
from hs2s_core.propagation.snapshot import Snapshot
from hs2s_core.propagation.timeline import Stretch, timeline

__all__ = [
    "Engine",
    "FrameResult",
    "Prompt",
    "Prompts",
    "Propagator",
    "Session",
    "Sign",
    "Snapshot",
    "Stretch",
    "Suggestion",
    "propagate",
    "signs_of",
    "suggest_frames",
    "timeline",
]
