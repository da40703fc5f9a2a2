"""J and F of any model's masks in a FiftyOne dataset, stored as an evaluation run."""

from .backend import VOSEvaluationResults, list_evaluations, load_results, load_table
from .runner import evaluate, evaluate_steps, glance, score
from .settings import DEFAULT_PROTOCOL, EvaluateSettings, settings_errors

__all__ = [
    "DEFAULT_PROTOCOL",
    "EvaluateSettings",
    "VOSEvaluationResults",
    "evaluate",
    "evaluate_steps",
    "glance",
    "list_evaluations",
    "load_results",
    "load_table",
    "score",
    "settings_errors",
]
