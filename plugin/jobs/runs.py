"""How the last run of each kind went, kept with the dataset, where every later session sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

from fiftyone.core.collections import SampleCollection
from pymongo.errors import PyMongoError

from hs2s_core.jobs import describe

from .claims import this_process
from .writer import utc_now

_METHOD = "hs2s-job"


@contextmanager
def noted_run(
    samples: SampleCollection, key: str, videos: int, **about: Any
) -> Iterator[Callable[..., None]]:
    """Note that a job runs, ``about`` it, and how it ended: ``done``, ``cancelled``, ``failed``.

    The block gets a function that notes what else there is to know, or what has changed.
    """
    dataset = samples._dataset
    known = {"method": _METHOD, "videos": videos, "began": _text(utc_now()), **this_process()}
    known |= {"status": "running", **about}

    def note(**more: Any) -> None:
        known.update(more)
        dataset.register_run(key, dataset.init_run(**known), overwrite=True)

    note()
    try:
        yield note
    except Exception as error:
        with suppress(PyMongoError):  # of a database that is gone, the error above says all
            note(status="failed", reason=describe(error), ended=_text(utc_now()))
        raise
    except BaseException:
        note(status="cancelled", ended=_text(utc_now()))
        raise
    note(status="done", ended=_text(utc_now()))


def run_info(samples: SampleCollection, key: str) -> dict[str, Any]:
    """All that was noted of a run; nothing where none ran."""
    dataset = samples._dataset
    if not dataset.has_run(key):
        return {}
    config = dataset.get_run_info(key).config
    return dict(vars(config)) if config.method == _METHOD else {}


def _text(time: datetime) -> str:
    return time.isoformat(timespec="seconds")
