"""Training: :func:`read_config` reads a run's file, :func:`train` runs it."""

from typing import TYPE_CHECKING

from hs2s_core.lazy import front

if TYPE_CHECKING:
    from hs2s_core.training.config import DataConfig as DataConfig
    from hs2s_core.training.config import FolderConfig as FolderConfig
    from hs2s_core.training.config import Stage as Stage
    from hs2s_core.training.config import TrainingConfig as TrainingConfig
    from hs2s_core.training.config import ValidationConfig as ValidationConfig
    from hs2s_core.training.curriculum import Schedule as Schedule
    from hs2s_core.training.loop import train as train
    from hs2s_core.training.losses import LOSS_PRESETS as LOSS_PRESETS
    from hs2s_core.training.losses import LossWeights as LossWeights
    from hs2s_core.training.run_file import read_config as read_config

__getattr__, __dir__, __all__ = front(__name__)
