"""Saved views of an evaluation live and die with it."""

from __future__ import annotations

import fiftyone as fo


def rename_views(dataset: fo.Dataset, eval_key: str, new_key: str) -> None:
    """Name the saved views of an evaluation after its new key."""
    for name in _names(dataset, eval_key):
        new_name = new_key + name[len(eval_key) :]
        if dataset.has_saved_view(new_name):
            dataset.delete_saved_view(new_name)
        description = dataset.get_saved_view_info(name).get("description") or ""
        text = description.replace(f"Evaluation {eval_key}:", f"Evaluation {new_key}:", 1)
        dataset.update_saved_view_info(name, {"name": new_name, "description": text})


def delete_views(dataset: fo.Dataset, eval_key: str) -> None:
    """Delete the saved views of an evaluation."""
    for name in _names(dataset, eval_key):
        dataset.delete_saved_view(name)


def _names(dataset: fo.Dataset, eval_key: str) -> list[str]:
    """Views made by ``views.save_views``, told from others by the start of their description."""
    return [
        name
        for name in dataset.list_saved_views()
        if name.startswith(f"{eval_key}: ")
        and (dataset.get_saved_view_info(name).get("description") or "").startswith(
            f"Evaluation {eval_key}: "
        )
    ]
