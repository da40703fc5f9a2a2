"""A panel as the App has it open, without an App."""

from __future__ import annotations

from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
from fiftyone.operators.executor import Executor

from hs2s_fiftyone.panels import LengthReview


class OpenedPanel:
    """An open panel: what the App keeps of it, and what it was told to do."""

    def __init__(
        self,
        dataset: fo.Dataset,
        kind: type[foo.Panel] = LengthReview,
        *,
        sample: str | None = None,
    ) -> None:
        """``sample`` is the id of the open sample."""
        self.dataset = dataset
        self.panel = kind()
        self.panel.plugin_name = "@hs2s/vos"
        self.view: fo.DatasetView | None = None
        self.filters: dict[str, Any] = {}
        """Of the sidebar, by field."""
        self.view_name: str | None = None
        """Of the saved view that is open."""
        self.extended: dict[str, Any] = {}
        """Stages that other panels put on top of the view."""
        self.sample = sample
        self.state: dict[str, Any] = {}
        self.data: dict[str, Any] = {}
        self.asked: dict[str, Any] = {}
        self.shown: dict[str, Any] = {}
        self.send("on_load")

    def send(self, event: str, **params: Any) -> None:
        """Fire an event as the App does."""
        context = foo.ExecutionContext(
            request_params={
                "dataset_name": self.dataset.name,
                "view": None if self.view is None else self.view._serialize(),
                "view_name": self.view_name,
                "filters": self.filters,
                "extended": self.extended,
                "current_sample": self.sample,
                "params": {
                    "panel_id": "panel",
                    "panel_state": self.state,
                    "__method__": event,
                    **params,
                },
            },
            executor=Executor(),
        )
        self.panel.execute(context)
        self.asked = {}
        for request in context.executor._requests:
            values = request.params
            if request.operator_uri == "patch_panel_data":
                self.data |= values["data"]
            elif request.operator_uri == "show_panel_output":
                self.shown = values["output"]
            elif request.operator_uri != "patch_panel_state":  # the context has that already
                self.asked[request.operator_uri] = values

    def choose(self, **controls: Any) -> None:
        """Change controls."""
        self.state["controls"] |= controls
        self.send("on_setting")

    @property
    def heat(self) -> list[dict[str, Any]]:
        return self.data["heat"]

    @property
    def text(self) -> str:
        """Everything the panel shows besides plots."""
        return str(self.shown)

    def asked_view(self) -> fo.DatasetView:
        return fo.DatasetView._build(self.dataset, self.asked["set_view"]["view"])
