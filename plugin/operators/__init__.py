"""The operators of the plugin; each class in ``OPERATORS`` also has its line in fiftyone.yml."""

from .evaluate_vos import EvaluateVos
from .export_vos import ExportVos
from .finetune import Finetune
from .load_vos_dataset import LoadVosDataset
from .metrics import MetricF, MetricJ, MetricJF
from .prepare_drawing import PrepareDrawing
from .propagate_corrections import PropagateCorrections
from .propagate_masks import PropagateMasks
from .read_vos_predictions import ReadVosPredictions
from .review_views import ReviewViews
from .suggest_frame import SuggestFrame

OPERATORS = (
    PrepareDrawing,
    PropagateMasks,
    PropagateCorrections,
    SuggestFrame,
    Finetune,
    LoadVosDataset,
    EvaluateVos,
    ReviewViews,
    ExportVos,
    ReadVosPredictions,
    MetricJF,
    MetricJ,
    MetricF,
)
