"""Who is at which video, said in the database that all runs write to.

A claim is one document; it names its process, which renews it now and then. A claim whose process
has ended, or of another machine that has been silent for long, is stale: whoever comes next
finishes what it had decided to write (see :mod:`.writer`), or throws away what it had not.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import fiftyone.core.odm as foo
import psutil
from bson import ObjectId
from pymongo.collection import Collection
from pymongo.errors import DuplicateKeyError, PyMongoError

from hs2s_core.errors import HS2SError

_HOST = socket.gethostname()
_BEAT_SECONDS = 5.0
_SILENCE_SECONDS = 600.0
"""After which a claim from another machine counts as stale."""
_held: set[ObjectId] = set()
Record = dict[str, Any]


class Taken(HS2SError):
    """Another run is at it."""


@dataclass
class Claim:
    """What this process holds against other runs."""

    key: str
    owner: ObjectId
    _told: float

    def beat(self) -> None:
        """Renew the claim; raises Taken if it was lost, so that nothing more is written."""
        if time.monotonic() - self._told > _BEAT_SECONDS:
            self.update({})

    def update(self, values: Record) -> None:
        """Note something with the claim, in one write."""
        mine = {"_id": self.key, "owner": self.owner}
        found = claims().update_one(mine, {"$set": {**values, "beat": time.time()}})
        if not found.matched_count:
            raise Taken(
                f"{self.key}: another run took over, because this one was silent for too long; "
                "nothing was written here. See that only one run is at it."
            )
        self._told = time.monotonic()


def claims() -> Collection[Record]:
    """All claims of the database."""
    return foo.get_db_conn()["hs2s.claims"]


@contextmanager
def claim(
    key: str, what: str, settle: Callable[[Record], object] = lambda record: None
) -> Iterator[Claim]:
    """Hold ``key`` while the block runs.

    Raises Taken if a living process has it. ``settle`` ends what a stale claim left, and this one
    too when the block is over.
    """
    mine = Claim(key, ObjectId(), time.monotonic())
    record = {
        "_id": key,
        "owner": mine.owner,
        **this_process(),
        "began": time.time(),
        "beat": time.time(),
    }
    earlier = claims().find_one({"_id": key})
    if earlier is not None and is_stale(earlier):
        _end(earlier, settle)
    try:
        claims().insert_one(record)
    except DuplicateKeyError:
        there = claims().find_one({"_id": key}) or record
        since = datetime.fromtimestamp(there["began"], timezone.utc)
        raise Taken(
            f"another run is at {what} (process {there['pid']} on {there['host']}, since "
            f"{since:%H:%M:%S} UTC); wait for it, or stop it and run again"
        ) from None
    _held.add(mine.owner)
    try:
        yield mine
    finally:
        _held.discard(mine.owner)
        # A database that is gone is no reason to hide what went wrong; the claim is stale now.
        with suppress(PyMongoError):
            last = claims().find_one({"_id": key, "owner": mine.owner})
            if last is not None:
                _end(last, settle)
            else:  # Taken over: what was gathered under this claim is nobody's.
                settle({"owner": mine.owner})


def settle_stale(settle: Callable[[Record], object]) -> None:
    """End whatever killed runs left in this database."""
    for record in claims().find():
        if is_stale(record):
            _end(record, settle)


def is_stale(record: Record) -> bool:
    """Whether nobody can be at work on a claim any more."""
    if record["host"] != _HOST:
        return bool(time.time() - record["beat"] > _SILENCE_SECONDS)
    if record["pid"] == os.getpid():
        return record["owner"] not in _held
    return not is_alive(record)


def this_process() -> Record:
    """What tells this process from all others."""
    return {"host": _HOST, "pid": os.getpid(), "born": psutil.Process().create_time()}


def is_alive(process: Record) -> bool:
    """Whether a process runs, as far as can be told: of one on another machine nothing can."""
    try:
        return process["host"] != _HOST or bool(
            psutil.Process(process["pid"]).create_time() == process["born"]
        )
    except psutil.NoSuchProcess:
        return False


def _end(record: Record, settle: Callable[[Record], object]) -> None:
    settle(record)
    claims().delete_one({"_id": record["_id"], "owner": record["owner"]})
