"""Videos in several processes of this machine, each with its own model and database connection.

Processes are started anew, never forked: neither threads of PyTorch nor connections survive that.
They speak pickles over their standard input and output. One that ends in the middle, killed or out
of memory, costs its video at most, and another takes its place.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any

from hs2s_core.errors import HS2SError

from .engines import Event, Events, attempt, cores
from .job import Item, Job, Result, describe

_READY = "ready"
PATIENCE = 20.0
"""Seconds that a worker has to undo its video when it is stopped."""
_BOOT = """
import pickle, sys
path, name, file = pickle.load(sys.stdin.buffer)
sys.path[:] = path
from hs2s_core.jobs.process import serve
serve(name, file)
"""


class Processes:
    """An engine of so many workers."""

    def __init__(self, workers: int) -> None:
        self._workers = workers

    def __call__(self, job: Job[Result], items: Sequence[Item]) -> Events[Result]:
        """Do all videos; a worker takes the next when it has done one."""
        waiting = deque(items)
        inbox: queue.Queue[tuple[_Worker, Any]] = queue.Queue()
        number = min(self._workers, len(items))
        workers = [_Worker(job, inbox, number) for _ in range(number)]
        in_hand: dict[_Worker, Item] = {}
        try:
            while workers:
                worker, said = inbox.get()
                item = in_hand.get(worker)
                if isinstance(said, Event):
                    yield said
                    if said.tick is not None:
                        continue
                    del in_hand[worker]
                elif said is None:
                    workers.remove(worker)
                    if item is None and not worker.ready:
                        raise HS2SError(
                            f"a worker process could not start (exit code {worker.code}); what it "
                            "printed says why. Run with one worker to see the same in this process."
                        )
                    if item is not None:
                        del in_hand[worker]
                        code = worker.code
                        reason = f"signal {-code}" if code < 0 else f"exit code {code}"
                        yield Event(item, error=lost(f"worker process ended ({reason})"))
                    if waiting:
                        workers.append(_Worker(job, inbox, number))
                    continue
                elif said == _READY:
                    worker.ready = True
                else:
                    raise HS2SError(said)
                if waiting:
                    in_hand[worker] = item = waiting.popleft()
                    yield Event(item)
                    worker.say(item)
                else:
                    worker.say(None)
        finally:
            for worker in workers:
                worker.process.terminate()
            for worker in workers:
                worker.end()


class _Worker:
    def __init__(self, job: Job[Any], inbox: queue.Queue[tuple[_Worker, Any]], number: int) -> None:
        threads = str(max(1, cores() // number))
        self.ready = False
        self._inbox = inbox
        self.process = subprocess.Popen(
            [sys.executable, "-c", _BOOT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"OMP_NUM_THREADS": threads, **os.environ},
        )
        self.say((sys.path, *home_of(type(job))))
        self.say(job)
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def code(self) -> int:
        return self.process.wait()

    def say(self, value: object) -> None:
        assert self.process.stdin is not None
        try:
            pickle.dump(value, self.process.stdin)
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended; the listener tells

    def end(self) -> None:
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        try:
            while True:
                self._inbox.put((self, pickle.load(self.process.stdout)))
        except (EOFError, OSError, pickle.UnpicklingError):
            self._inbox.put((self, None))


def home_of(kind: type) -> tuple[str, str | None]:
    """The outermost package of a class, and its file: a plugin may lie on no import path."""
    parts = kind.__module__.split(".")
    names = (".".join(parts[:count]) for count in range(1, len(parts) + 1))
    name = next(name for name in names if name in sys.modules)
    return name, getattr(sys.modules[name], "__file__", None)


def lost(what: str) -> str:
    """What to say of a video whose worker ended."""
    return (
        f"its {what}, perhaps for lack of memory; the video is as it was. "
        "Run again, with fewer workers."
    )


# ---------------------------------------------------------------- in the worker


def serve(name: str, file: str | None) -> None:
    """Do videos as they are asked for; what is printed goes to the error stream."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))

    def say(value: object) -> None:
        pickle.dump(value, answers)
        answers.flush()

    import_home(name, file)
    questions = sys.stdin.buffer
    try:
        work = pickle.load(questions).open()
    except Exception as error:
        say(describe(error))
        return
    say(_READY)
    while (item := pickle.load(questions)) is not None:
        for event in attempt(work, item):
            say(event)


def import_home(name: str, file: str | None) -> None:
    """Have a package under the name that it had where the job was made."""
    import importlib.util

    try:
        found = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        found = None
    if found is None and file is not None:
        spec = importlib.util.spec_from_file_location(
            name, file, submodule_search_locations=[os.path.dirname(file)]
        )
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
