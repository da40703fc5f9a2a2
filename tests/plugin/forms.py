"""Operators as the App asks them: what its requests hold, and the forms that come back."""

from __future__ import annotations

from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
from fiftyone.operators import types
from fiftyone.operators.executor import Executor

Properties = dict[str, types.Property]


def context(
    samples: fo.Dataset | fo.DatasetView | None,
    selected: list[str] | None = None,
    opened: str | None = None,
    **params: Any,
) -> foo.ExecutionContext:
    """That of a request of the App which shows ``samples``; ``params`` are the form's values.

    ``selected`` are ids of samples, ``opened`` is that of the open one.
    """
    dataset = samples._root_dataset if isinstance(samples, fo.DatasetView) else samples
    uri = "@hs2s/vos/x"
    name = None if dataset is None else dataset.name
    request: dict[str, Any] = {"dataset_name": name, "params": params, "operator_uri": uri}
    if isinstance(samples, fo.DatasetView):
        request["view"] = samples._serialize()
    if selected is not None:
        request["selected"] = selected
    if opened is not None:
        request["current_sample"] = opened
    return foo.ExecutionContext(request_params=request, executor=Executor(), operator_uri=uri)


def form(
    operator: type[foo.Operator], samples: fo.Dataset | fo.DatasetView | None, **params: Any
) -> Properties:
    """The form's properties by name, as the App receives them."""
    resolved = operator().resolve_type(context(samples, **params), "inputs")
    assert resolved.to_json()
    properties: Properties = resolved.type.properties
    return properties


def wrong(shown: Properties) -> dict[str, str]:
    """What is wrong with the values of a form, by name."""
    return {name: entry.error_message for name, entry in shown.items() if entry.invalid}
