"""What to evaluate against what, and everything that can be wrong with it before a run starts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from fiftyone.core.collections import SampleCollection

from hs2s_core.evaluation import PROTOCOLS, ObjectInfo, Protocol, find_protocol
from hs2s_core.evaluation.identities import MATCHES

from ..frame_fields import bare, mask_field_error
from ..videos import source_info, video_names
from . import fields

DEFAULT_PROTOCOL = "davis2017"
"""The protocol, where none is named."""


@dataclass(frozen=True)
class EvaluateSettings:
    """An evaluation; fields are frame-level, without ``frames.``."""

    prediction_field: str
    truth_field: str
    eval_key: str
    protocol: Protocol = PROTOCOLS[DEFAULT_PROTOCOL]
    match: str = "ids"
    seen_categories: frozenset[str] | None = None
    """Categories of the training set; None where unknown."""
    meta: Mapping[str, Mapping[int, ObjectInfo]] | None = None
    """Category, seen flag and listed frames by video and object id, in place of the labels'."""


def make_settings(
    samples: SampleCollection,
    prediction_field: str,
    truth_field: str,
    eval_key: str,
    protocol: str | Protocol = DEFAULT_PROTOCOL,
    *,
    match: str = "ids",
    seen_categories: Collection[str] | None = None,
    meta: str | Path | None = None,
) -> EvaluateSettings:
    """Settings as users give them.

    Raises HS2SError for an unknown protocol, or a metadata file that is unusable or, for a protocol
    that averages seen and unseen categories apart, does not say it of all objects.
    """
    from hs2s_core.data.meta import read_meta
    from hs2s_core.evaluation.scores import check_seen

    if seen_categories is None:
        # A dataset that this plugin loaded knows the categories of the training split.
        seen_categories = source_info(samples).get("seen_categories")
    seen = None if seen_categories is None else frozenset(seen_categories)
    protocol = find_protocol(protocol)
    listed = None
    if meta is not None:
        names = list(video_names(samples).values())
        listed = read_meta(meta).select(names, seen)
        check_seen(listed, names, protocol)
    return EvaluateSettings(
        prediction_field=bare(prediction_field),
        truth_field=bare(truth_field),
        eval_key=eval_key,
        protocol=protocol,
        match=match,
        seen_categories=seen,
        meta=listed,
    )


def settings_errors(
    samples: SampleCollection,
    settings: EvaluateSettings,
    *,
    written: bool = True,
    at_most: int | None = None,
) -> dict[str, str]:
    """What is wrong with the settings themselves: parameter name -> message.

    Unless something will be ``written``, the key does not matter. ``at_most`` is that of
    ``has_labels``.
    """
    errors = {}
    for parameter in ("prediction_field", "truth_field"):
        if error := mask_field_error(samples, getattr(settings, parameter)):
            errors[parameter] = error
    if settings.prediction_field == settings.truth_field:
        errors["prediction_field"] = "the predictions must be in another field than the truth"
    key_error = _key_error(samples, settings, at_most) if written else None
    if key_error is not None:
        errors["eval_key"] = key_error
    if settings.match not in MATCHES:
        errors["match"] = f"{settings.match!r} is none of {', '.join(MATCHES)}"
    return errors


def _key_error(
    samples: SampleCollection, settings: EvaluateSettings, at_most: int | None
) -> str | None:
    eval_key = settings.eval_key
    if not isinstance(eval_key, str) or not eval_key.isidentifier() or eval_key.startswith("_"):
        return f"{eval_key!r} is no key; expected letters, digits and _, a letter first"
    dataset = samples._dataset
    earlier = None
    if dataset.has_evaluation(eval_key):
        config = dataset.get_evaluation_info(eval_key).config
        if config.method != fields.METHOD:
            return (
                f"an evaluation {eval_key!r} of another kind ({config.method}) exists; choose "
                "another key or delete it first"
            )
        earlier = bare(config.pred_field)
    taken = fields.taken(samples, eval_key, settings.prediction_field, earlier, at_most=at_most)
    if taken:
        return (
            f"fields of that name exist ({', '.join(taken[:3])}) and are not from an evaluation "
            f"{eval_key!r}; choose another key, so that they are not overwritten"
        )
    return None
