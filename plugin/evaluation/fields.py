"""The fields and saved views of an evaluation run: what they are, and how they come and go."""

from __future__ import annotations

from collections.abc import Iterator

import fiftyone as fo
from fiftyone.core.collections import SampleCollection

from hs2s_core.errors import HS2SError

from ..labels.frame_fields import add_fields, any_frame, label_list

SAMPLE_FIELDS: dict[str, tuple[type[fo.Field], str]] = {
    "jf": (fo.FloatField, "J&F: mean of J and F"),
    "j": (fo.FloatField, "J, region similarity: mean per object, then over objects"),
    "f": (fo.FloatField, "F, contour accuracy: mean per object, then over objects"),
    "early": (fo.FloatField, "J&F in the frames t < 10 after each object's prompt"),
    "late": (fo.FloatField, "J&F in the frames t > 20 after each object's prompt"),
    "drop": (fo.FloatField, "J&F lost from early to late frames"),
    "first_failure": (
        fo.IntField,
        "Frame number in which an object is first lost: J < 0.5 for 3 annotated frames",
    ),
    "num_frames": (fo.IntField, "Number of annotated frames"),
    "length_bin": (fo.StringField, "Bin of the number of annotated frames"),
    "note": (fo.StringField, "Why the video has no score, or what to know about it"),
}
"""By suffix; the field is ``<eval_key>_<suffix>``."""

FRAME_FIELDS = {
    "jf": "J&F: mean over the objects that count in this frame",
    "j": "J: mean over the objects that count in this frame",
    "f": "F: mean over the objects that count in this frame",
}
LABEL_FIELDS = {"jf": "J&F of this object", "j": "J of this object", "f": "F of this object"}

METHOD = "vos-jf"
"""Of our evaluation runs, in FiftyOne's ``config.method``."""
_MARK = {"evaluation": METHOD}
"""In the ``info`` of every field that a run wrote: only such fields are renamed and deleted."""


def sample_fields(eval_key: str) -> dict[str, fo.Field]:
    """Every sample-level field of a run, by its path."""
    return {
        f"{eval_key}_{suffix}": kind(description=text, info=_MARK)
        for suffix, (kind, text) in SAMPLE_FIELDS.items()
    }


def frame_fields(eval_key: str, items: str | None) -> dict[str, fo.Field]:
    """Every frame-level field of a run, by its path below a frame.

    ``items`` is that of the list of predicted labels; None where they are in none.
    """
    scores = {f"{eval_key}_{suffix}": text for suffix, text in FRAME_FIELDS.items()}
    hits = {}
    if items is not None:
        hit = "tp where J is at least 0.5, else fp; only in frames that count"
        hits = {f"{items}.{eval_key}": fo.StringField(description=hit, info=_MARK)}
        scores |= {f"{items}.{eval_key}_{suffix}": text for suffix, text in LABEL_FIELDS.items()}
    shares = {path: fo.FloatField(description=text, info=_MARK) for path, text in scores.items()}
    return hits | shares


def written_field(dataset: fo.Dataset, eval_key: str, prediction_field: str) -> str:
    """The prediction field of a run, by the name that it has now if somebody renamed it."""
    schema = dataset.get_frame_field_schema()
    if prediction_field in schema:
        return prediction_field
    lists = ((name, label_list(dataset, name)) for name in schema)
    ours = (
        name
        for name, items in lists
        if items is not None and _wrote(dataset, f"frames.{items}.{eval_key}_jf")
    )
    return next(ours, prediction_field)


def taken(
    samples: SampleCollection,
    eval_key: str,
    prediction_field: str,
    earlier: str | None = None,
    *,
    at_most: int | None = None,
) -> list[str]:
    """What a new run of this key would write to and is there already.

    These are sample and frame fields, attributes of the predicted labels, also such as the schema
    does not know, and names that FiftyOne's labels have for themselves. ``earlier`` is the
    prediction field of the run that this one replaces, with what that run wrote. ``at_most`` is
    that of ``has_labels``.
    """
    dataset = samples._dataset
    items = label_list(samples, prediction_field)
    found, undeclared = [], []
    for path in sample_fields(eval_key):
        if dataset.get_field(path) and (earlier is None or not _wrote(dataset, path)):
            found.append(path)
    for path in frame_fields(eval_key, items):
        in_label = items is not None and path.startswith(f"{items}.")
        replaced = prediction_field if in_label else earlier
        if in_label and _is_reserved(dataset, prediction_field, path.rpartition(".")[2]):
            found.append(f"frames.{path}")
        elif dataset.get_field(f"frames.{path}") is None:
            undeclared += [path] if in_label else []
        elif earlier is None or replaced != earlier or not _wrote(dataset, f"frames.{path}"):
            found.append(f"frames.{path}")
    return found + [f"frames.{path}" for path in _filled(dataset, undeclared, at_most)]


def _is_reserved(dataset: fo.Dataset, prediction_field: str, name: str) -> bool:
    """Whether FiftyOne's labels of this field have something of that name, set or not."""
    kind = dataset.get_frame_field_schema()[prediction_field].document_type
    label = kind._fields[kind._LABEL_LIST_FIELD].field.document_type
    return name in label._fields or name == "instance" or hasattr(label, name)


def _filled(dataset: fo.Dataset, paths: list[str], at_most: int | None) -> Iterator[str]:
    """Paths below a frame that hold values though no schema has them: attributes are dynamic."""
    if not paths:
        return
    # All in one pass over the frames, which ends at the first that has any.
    if not any_frame(dataset, {"$or": [{path: {"$exists": True}} for path in paths]}, at_most):
        return
    for path in paths:
        if any_frame(dataset, {path: {"$exists": True}}, at_most):
            yield path


def declare(dataset: fo.Dataset, eval_key: str, items: str | None) -> None:
    """Add all fields of a run, each with a description that the App shows."""
    add_fields(dataset, sample_fields(eval_key), frame_fields(eval_key, items))


def rename(dataset: fo.Dataset, eval_key: str, new_key: str, prediction_field: str) -> None:
    """Rename the fields of a run, and their values.

    Raises HS2SError if that would overwrite something.
    """
    items = label_list(dataset, prediction_field)
    pairs = zip(sample_fields(eval_key), sample_fields(new_key), strict=True)
    sample_pairs = {old: new for old, new in pairs if _wrote(dataset, old)}
    pairs = zip(frame_fields(eval_key, items), frame_fields(new_key, items), strict=True)
    frame_pairs = {old: new for old, new in pairs if _wrote(dataset, f"frames.{old}")}
    found = taken(dataset, new_key, prediction_field) if sample_pairs or frame_pairs else ()
    if found:
        raise HS2SError(
            f"fields of that name exist ({', '.join(found[:3])}), so those of {eval_key!r} keep "
            f"theirs; rename the evaluation back to {eval_key!r}, then choose another name"
        )
    dataset.rename_sample_fields(sample_pairs)
    dataset.rename_frame_fields(frame_pairs)


def remove(dataset: fo.Dataset, eval_key: str, items: str | None) -> None:
    """Delete the fields of a run, as far as they exist."""
    own = [path for path in sample_fields(eval_key) if _wrote(dataset, path)]
    dataset.delete_sample_fields(own, error_level=2)
    own = [path for path in frame_fields(eval_key, items) if _wrote(dataset, f"frames.{path}")]
    dataset.delete_frame_fields(own, error_level=2)


def _wrote(dataset: fo.Dataset, path: str) -> bool:
    """Whether there is such a field, and a run wrote it; others of these names are someone's."""
    field = dataset.get_field(path)
    return field is not None and (field.info or {}).get("evaluation") == METHOD


def rename_views(dataset: fo.Dataset, eval_key: str, new_key: str) -> None:
    """Name the saved views of an evaluation after its new key."""
    for name in _view_names(dataset, eval_key):
        new_name = new_key + name[len(eval_key) :]
        if dataset.has_saved_view(new_name):
            dataset.delete_saved_view(new_name)
        description = dataset.get_saved_view_info(name).get("description") or ""
        text = description.replace(f"Evaluation {eval_key}:", f"Evaluation {new_key}:", 1)
        dataset.update_saved_view_info(name, {"name": new_name, "description": text})


def delete_views(dataset: fo.Dataset, eval_key: str) -> None:
    """Delete the saved views of an evaluation."""
    for name in _view_names(dataset, eval_key):
        dataset.delete_saved_view(name)


def _view_names(dataset: fo.Dataset, eval_key: str) -> list[str]:
    """Views made by ``views.save_views``, told from others by the start of their description."""
    return [
        name
        for name in dataset.list_saved_views()
        if name.startswith(f"{eval_key}: ")
        and (dataset.get_saved_view_info(name).get("description") or "").startswith(
            f"Evaluation {eval_key}: "
        )
    ]
