"""Jobs over the videos of a dataset: ``hs2s_core.jobs``, and what a database needs."""

from hs2s_core.jobs import (
    ENGINES,
    Done,
    Engine,
    Item,
    Job,
    Plan,
    Problem,
    Progress,
    Report,
    Steps,
    Summary,
    Tick,
    Work,
    describe,
    find_engine,
    inline,
    require,
    run_job,
)

from .claims import Taken, claim
from .progress import Watch, drive
from .runs import noted_run, run_info, run_status
from .source import Source, VideoJob
from .writer import FrameWriter, settle_killed, utc_now

__all__ = [
    "ENGINES",
    "Done",
    "Engine",
    "FrameWriter",
    "Item",
    "Job",
    "Plan",
    "Problem",
    "Progress",
    "Report",
    "Source",
    "Steps",
    "Summary",
    "Taken",
    "Tick",
    "VideoJob",
    "Watch",
    "Work",
    "claim",
    "describe",
    "drive",
    "find_engine",
    "inline",
    "noted_run",
    "require",
    "run_info",
    "run_job",
    "run_status",
    "settle_killed",
    "utc_now",
]
