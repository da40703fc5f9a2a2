"""J and F of any model's masks in a FiftyOne dataset, stored as an evaluation run."""

from .backend import VOSEvaluationResults
from .loading import list_evaluations, load_results, load_table
from .plan import make_plan
from .runner import evaluate, evaluate_steps, score
from .settings import DEFAULT_PROTOCOL, EvaluateSettings, settings_errors

__all__ = [
    "DEFAULT_PROTOCOL",
    "EvaluateSettings",
    "VOSEvaluationResults",
    "evaluate",
    "evaluate_steps",
    "list_evaluations",
    "load_results",
    "load_table",
    "make_plan",
    "score",
    "settings_errors",
]
