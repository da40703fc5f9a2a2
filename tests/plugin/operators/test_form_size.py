"""What a form reads of the database does not grow with the dataset."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import fiftyone as fo
import fiftyone.core.odm as foo
import pytest
from bson import ObjectId
from fiftyone.operators import Operator

from hs2s_fiftyone.labels.frame_fields import add_detections
from hs2s_fiftyone.operators import OPERATORS
from hs2s_fiftyone.propagation import plan

from ..forms import form
from ..helpers import detection, square

VIDEOS, FRAMES = 300, 60
ABOUT_DATASETS = [
    each for each in OPERATORS if each.key not in ("load_vos_dataset", "review_views")
]


@pytest.fixture(scope="module")
def large() -> Iterator[fo.Dataset]:
    """300 videos, of which the last has a mask in ``drawn`` and all have one in ``hs2s``."""
    dataset = fo.Dataset()
    dataset.add_samples([fo.Sample(f"/none/{number}.mp4") for number in range(VIDEOS)])
    for field in ("drawn", "empty", "hs2s"):
        add_detections(dataset, field)
    label = fo.Detections(detections=[detection(square(8, 8), index=1)]).to_dict()
    ids = [ObjectId(each) for each in dataset.values("id")]
    dataset._frame_collection.insert_many(
        {
            "_sample_id": sample_id,
            "_dataset_id": dataset._doc.id,
            "frame_number": number,
            "drawn": label if sample_id == ids[-1] and number == FRAMES else None,
            "empty": None,
            "hs2s": label if number == FRAMES else None,
        }
        for sample_id in ids
        for number in range(1, FRAMES + 1)
    )
    yield dataset
    dataset.delete()


@contextmanager
def examined(dataset: fo.Dataset) -> Iterator[dict[str, int]]:
    """How many frames the server looks at in the block, by its own account."""
    database, found = foo.get_db_conn(), {"frames": 0}
    database["system.profile"].drop()
    database.command("profile", 2)
    try:
        yield found
    finally:
        database.command("profile", 0)
    name = f"{database.name}.{dataset._frame_collection_name}"
    for entry in database["system.profile"].find({"ns": name}):
        found["frames"] += entry.get("docsExamined", 0)


@pytest.mark.parametrize("operator", ABOUT_DATASETS, ids=lambda each: each.key)
@pytest.mark.parametrize("field", ["hs2s", "empty"])
def test_a_form_reads_a_bounded_number_of_frames(
    large: fo.Dataset, operator: type[Operator], field: str
) -> None:
    """Also where a field holds nothing, or only what was drawn last."""
    plan._verdicts.clear()
    given: dict[str, Any] = {"output_field": field, "prediction_field": field, "field": field}
    with examined(large) as found:
        assert form(operator, large, **given)
    assert found["frames"] <= 9_000 < VIDEOS * FRAMES


def test_what_was_drawn_last_is_proposed(large: fo.Dataset) -> None:
    by_name = {each.key: each for each in OPERATORS}
    view = large.exclude_fields("frames.hs2s")
    assert form(by_name["propagate_masks"], view)["prompt_field"].default == "drawn"
