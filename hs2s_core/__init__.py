"""HS2S: one mask in, the object segmented in every frame. The networks, without FiftyOne.

The names below are the front; each is imported when it is first used.
"""

from typing import TYPE_CHECKING

from hs2s_core.lazy import front

if TYPE_CHECKING:
    from hs2s_core.errors import HS2SError as HS2SError
    from hs2s_core.errors import InvalidConfig as InvalidConfig
    from hs2s_core.errors import InvalidDataset as InvalidDataset
    from hs2s_core.errors import InvalidMask as InvalidMask
    from hs2s_core.errors import InvalidMedia as InvalidMedia
    from hs2s_core.errors import InvalidWeights as InvalidWeights
    from hs2s_core.evaluation import evaluate_folders
    from hs2s_core.evaluation import evaluate_sequence as evaluate_sequence
    from hs2s_core.evaluation import format_table as format_table
    from hs2s_core.media import open_frames as open_frames
    from hs2s_core.media.masks import read_id_map as read_id_map
    from hs2s_core.media.masks import split_objects as split_objects
    from hs2s_core.media.masks import write_id_map as write_id_map
    from hs2s_core.media.overlay import draw_masks as draw_masks
    from hs2s_core.media.strip import overlay_strip as overlay_strip
    from hs2s_core.models import build_model as build_model
    from hs2s_core.prompts import Prompt as Prompt
    from hs2s_core.prompts import Prompts as Prompts
    from hs2s_core.prompts.hints import Hint as Hint
    from hs2s_core.propagation import FrameResult as FrameResult
    from hs2s_core.propagation import Propagator as Propagator
    from hs2s_core.propagation import Session as Session
    from hs2s_core.propagation import propagate as propagate
    from hs2s_core.propagation import signs_of as signs_of
    from hs2s_core.propagation import suggest_frames as suggest_frames
    from hs2s_core.weights import load_model as load_model

    evaluate = evaluate_folders

__getattr__, __dir__, __all__ = front(__name__)
