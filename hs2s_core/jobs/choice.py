"""The choice of who does the videos of a job."""

from __future__ import annotations

from hs2s_core.errors import HS2SError, check_choice

from .engines import Engine, inline

ENGINES = {
    "inline": "This process, one video after the other",
    "process": "Several processes on this machine, a video each",
    "ray": "The workers of a Ray cluster, a video each",
}
"""Who can do the videos: name -> description."""


def find_engine(name: str | None, workers: int = 1) -> Engine:
    """An engine by its name; None is ``inline`` for one worker and ``process`` for several.

    Raises HS2SError for an unknown name, a wrong number of workers, or where Ray is missing.
    """
    if workers < 1:
        raise HS2SError(f"workers is {workers}; expected at least 1.")
    name = check_choice("engine", name or ("inline" if workers == 1 else "process"), ENGINES)
    if name == "process":
        from .process import Processes

        return Processes(workers)
    if name == "ray":
        from .ray import RayWorkers

        return RayWorkers(workers)
    if workers > 1:
        raise HS2SError(f"workers is {workers}, but 'inline' is one process; expected 'process'.")
    return inline
