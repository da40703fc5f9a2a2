"""HS2S for FiftyOne: the plugin ``@hs2s/vos``, installed as the package ``hs2s_fiftyone``.

The names below are the front for scripts; each is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._bootstrap import ensure_core

ensure_core()

from hs2s_core.lazy import front  # noqa: E402  (found by what was just ensured)

if TYPE_CHECKING:
    from hs2s_core.errors import HS2SError as HS2SError
    from hs2s_core.jobs import Progress as Progress

    from .drawing import prepare_drawing as prepare_drawing
    from .evaluation import evaluate as evaluate
    from .evaluation import list_evaluations as list_evaluations
    from .evaluation import load_results as load_results
    from .evaluation import load_table as load_table
    from .export import export
    from .loading.dataset import delete_unused_videos as delete_unused_videos
    from .loading.dataset import load
    from .loading.groups import load_groups as load_groups
    from .loading.groups import write_to_images as write_to_images
    from .pictures import show_field as show_field
    from .predictions import read_predictions as read_predictions
    from .propagation import propagate as propagate
    from .propagation import repropagate as repropagate
    from .propagation import suggest_frames as suggest_frames
    from .training import finetune as finetune
    from .training import labelled_videos as labelled_videos
    from .views import save_views as save_views

    export_masks = export
    load_vos_dataset = load

__getattr__, __dir__, __all__ = front(__name__)


def register(plugin: Any) -> None:
    """Called by FiftyOne when it loads the plugin."""
    # Here, so that the package's commands answer without waiting for FiftyOne.
    from .operators import OPERATORS
    from .panels import PANELS

    for operator in (*OPERATORS, *PANELS):
        plugin.register(operator)
