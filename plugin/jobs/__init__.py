"""One picklable function per video, and who runs it: all loops over videos are this one."""

from .claims import Taken, claim
from .engines import Engine, inline
from .job import (
    Done,
    Item,
    Job,
    Plan,
    Problem,
    Report,
    Source,
    Summary,
    Tick,
    Work,
    describe,
    require,
)
from .loop import run_job
from .progress import Progress, Steps, Watch, drive
from .writer import FrameWriter, settle_killed, utc_now

__all__ = [
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
    "Watch",
    "Work",
    "claim",
    "describe",
    "drive",
    "inline",
    "require",
    "run_job",
    "settle_killed",
    "utc_now",
]
