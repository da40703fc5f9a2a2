"""Masks of one field through every frame of a collection's videos, into another field."""

from hs2s_core.jobs import Summary

from .plan import make_plan, preview
from .repropagation import corrected_fields, made_fields, prompts_of, repropagate, repropagate_steps
from .runner import DEFAULT_OUTPUT, declare_output, propagate, propagate_steps
from .settings import CHOICES, PropagateSettings, settings_errors
from .suggest import suggest_frames
from .video import PropagateJob
