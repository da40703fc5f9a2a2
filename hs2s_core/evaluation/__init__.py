"""J and F: metrics of a frame, protocols, the table of rows, and what length does to scores."""

from hs2s_core.data.meta import ObjectInfo
from hs2s_core.evaluation.folders import evaluate_folders
from hs2s_core.evaluation.metrics import FrameCounts, count_objects, count_pixels
from hs2s_core.evaluation.protocol import PROTOCOLS, Protocol, find_protocol
from hs2s_core.evaluation.report import format_table, score_notes
from hs2s_core.evaluation.rows import ObjectKey, Row, Rows
from hs2s_core.evaluation.scores import GroupScore, ObjectScore, Statistics, Summary, overall_parts
from hs2s_core.evaluation.table import EvaluationTable, FramePair, VideoFailure, evaluate_sequence

__all__ = [
    "PROTOCOLS",
    "EvaluationTable",
    "FrameCounts",
    "FramePair",
    "GroupScore",
    "ObjectInfo",
    "ObjectKey",
    "ObjectScore",
    "Protocol",
    "Row",
    "Rows",
    "Statistics",
    "Summary",
    "VideoFailure",
    "count_objects",
    "count_pixels",
    "evaluate_folders",
    "evaluate_sequence",
    "find_protocol",
    "format_table",
    "overall_parts",
    "score_notes",
]
