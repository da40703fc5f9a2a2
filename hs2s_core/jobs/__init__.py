"""One picklable function per video, and who runs it: all loops over videos are this one."""

from .engines import Engine, cores, inline
from .job import (
    Done,
    Item,
    Job,
    Plan,
    Problem,
    Report,
    RunEnded,
    Summary,
    Tick,
    Work,
    describe,
    require,
)
from .loop import find_engine, run_job
from .progress import Progress, Steps, Value, Watch, drive, retold
