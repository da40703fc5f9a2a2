"""HS2S-lite and its baseline S2S-lite: the paper's idea at a size that runs on a CPU."""

from hs2s_core.models.lite.baseline import S2SLite
from hs2s_core.models.lite.network import HS2SLite

__all__ = ["HS2SLite", "S2SLite"]
