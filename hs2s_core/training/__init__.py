"""Training: :func:`read_config` reads a run's file, :func:`train` runs it."""

from typing import TYPE_CHECKING

from hs2s_core.lazy import front

if TYPE_CHECKING:
    from hs2s_core.training.loop import train as train
    from hs2s_core.training.run_file import read_config as read_config

__getattr__, __all__ = front(__name__, {"read_config": ".run_file", "train": ".loop"})
