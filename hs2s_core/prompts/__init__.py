"""What objects are given by: masks at frames, from arrays, files, boxes or points."""

from hs2s_core.prompts.prompt import (
    LARGEST_ID,
    ORIGINS,
    POLICIES,
    PlainPrompts,
    Prompt,
    Prompts,
    check_clip,
)

__all__ = ["LARGEST_ID", "ORIGINS", "POLICIES", "PlainPrompts", "Prompt", "Prompts", "check_clip"]
