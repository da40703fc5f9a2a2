"""J, F and J&F as FiftyOne's evaluation panel shows them."""

from __future__ import annotations

from typing import Any

from hs2s_core.evaluation import Summary

from .scoring import metric_values

PLUGIN = "@hs2s/vos"
METRICS = {"jf": "J&F", "j": "J", "f": "F"}
"""Key of each metric -> label."""


def metric_operator(key: str) -> str:
    """Name of the operator that computes a metric."""
    return f"metric_{key}"


def panel_metrics(summary: Summary) -> dict[str, dict[str, Any]]:
    """What FiftyOne stores of custom metrics, as if their operators had computed them.

    Set directly, because the operators only exist where FiftyOne has loaded the plugin, and the
    numbers are known.
    """
    values = metric_values(summary)
    return {
        f"{PLUGIN}/{metric_operator(key)}": {
            "key": key,
            "value": values[key],
            "label": label,
            "lower_is_better": False,
        }
        for key, label in METRICS.items()
        if key in values
    }
