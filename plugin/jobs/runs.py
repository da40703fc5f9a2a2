"""How the last run of each kind went, kept with the dataset, where every later session sees it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

from fiftyone.core.collections import SampleCollection
from pymongo.errors import PyMongoError

from hs2s_core.jobs import describe

from .claims import is_alive, this_process
from .writer import utc_now

_METHOD = "hs2s-job"


@contextmanager
def noted_run(samples: SampleCollection, key: str, videos: int) -> Iterator[None]:
    """Note that a job runs, and how it ended: ``done``, ``cancelled`` or ``failed``."""
    dataset = samples._dataset
    began = _text(utc_now())

    def note(status: str, **more: Any) -> None:
        config = dataset.init_run(
            method=_METHOD, status=status, videos=videos, began=began, **this_process(), **more
        )
        dataset.register_run(key, config, overwrite=True)

    note("running")
    try:
        yield
    except Exception as error:
        with suppress(PyMongoError):  # of a database that is gone, the error above says all
            note("failed", reason=describe(error), ended=_text(utc_now()))
        raise
    except BaseException:
        note("cancelled", ended=_text(utc_now()))
        raise
    note("done", ended=_text(utc_now()))


def run_status(samples: SampleCollection, key: str) -> str | None:
    """``running``, ``done``, ``cancelled``, ``failed`` or ``killed``; None where nothing ran.

    Videos that such a run finished are done whatever it says; the next run does the others.
    """
    if not samples.has_run(key):
        return None
    config = samples.get_run_info(key).config
    if config.status == "running" and not is_alive(vars(config)):
        return "killed"
    return str(config.status)


def _text(time: datetime) -> str:
    return time.isoformat(timespec="seconds")
