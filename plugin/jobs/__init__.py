"""Jobs over the videos of a dataset: ``hs2s_core.jobs``, and what a database needs."""

from .claims import Taken, claim
from .runs import noted_run, run_info
from .source import Source, VideoJob, drive
from .writer import FrameWriter, settle_killed, utc_now
