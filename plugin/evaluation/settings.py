"""What to evaluate against what, and everything that can be wrong with it before a run starts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from fiftyone.core.collections import SampleCollection

from hs2s_core.data.meta import read_meta
from hs2s_core.evaluation import PROTOCOLS, ObjectInfo, Protocol
from hs2s_core.evaluation.identities import MATCHES
from hs2s_core.evaluation.scores import check_seen

from ..labels.frame_fields import bare, mask_field_error, read_only_error
from ..videos.collection import source_info, video_names
from . import fields

DEFAULT_PROTOCOL = "davis2017"
"""The protocol, where none is named."""


@dataclass(frozen=True)
class EvaluateSettings:
    """An evaluation as it is asked for, see :func:`evaluate`; :meth:`complete` it to use it."""

    prediction_field: str
    truth_field: str
    eval_key: str
    protocol: Protocol = PROTOCOLS[DEFAULT_PROTOCOL]
    match: str = "ids"
    seen_categories: str | Collection[str] | None = None
    """Categories of the training set; None where unknown."""
    meta: str | Path | Mapping[str, Mapping[int, ObjectInfo]] | None = None
    """Category, seen flag and listed frames by video and object id, in place of the labels'; or the
    file that has them."""

    def __post_init__(self) -> None:
        """Fields are frame-level, without ``frames.``."""
        for name in ("prediction_field", "truth_field"):
            object.__setattr__(self, name, bare(getattr(self, name)))

    def complete(self, samples: SampleCollection) -> EvaluateSettings:
        """These, with what a file and the dataset say of categories.

        Raises HS2SError for a metadata file that is unusable or, for a protocol that averages seen
        and unseen categories apart, does not say it of all objects.
        """
        seen = self.seen_categories
        if seen is None:
            # A dataset that this plugin loaded knows the categories of the training split.
            seen = source_info(samples).get("seen_categories")
        if isinstance(seen, str):
            seen = [seen]
        seen, meta = None if seen is None else frozenset(seen), self.meta
        if isinstance(meta, (str, Path)):
            names = list(video_names(samples).values())
            meta = read_meta(meta).select(names, seen)
            check_seen(meta, names, self.protocol)
        return replace(self, seen_categories=seen, meta=meta)


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
    locked = read_only_error(samples, settings.prediction_field) if written else None
    if locked is not None:  # scores are stored with the labels
        errors.setdefault("prediction_field", locked)
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
    if not eval_key.isidentifier() or eval_key.startswith("_"):
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
        earlier = fields.written_field(dataset, eval_key, bare(config.pred_field))
    taken = fields.taken(samples, eval_key, settings.prediction_field, earlier, at_most=at_most)
    if taken:
        return (
            f"fields of that name exist ({', '.join(taken[:3])}) and are not from an evaluation "
            f"{eval_key!r}; choose another key, so that they are not overwritten"
        )
    return None
