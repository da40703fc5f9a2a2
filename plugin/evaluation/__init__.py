"""J and F of any model's masks in a FiftyOne dataset, stored as an evaluation run."""

from .backend import METHOD, VOSEvaluation, VOSEvaluationConfig, VOSEvaluationResults
from .loading import list_evaluations, load_results, load_table
from .plan import Plan, make_plan
from .runner import evaluate, run, score
from .settings import DEFAULT_PROTOCOL, MATCHES, Settings, make_settings, settings_errors

__all__ = [
    "DEFAULT_PROTOCOL",
    "MATCHES",
    "METHOD",
    "Plan",
    "Settings",
    "VOSEvaluation",
    "VOSEvaluationConfig",
    "VOSEvaluationResults",
    "evaluate",
    "list_evaluations",
    "load_results",
    "load_table",
    "make_plan",
    "make_settings",
    "run",
    "score",
    "settings_errors",
]
