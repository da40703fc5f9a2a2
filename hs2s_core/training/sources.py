"""From the data section of a run to what clips are drawn from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hs2s_core.data.clips import ClipSet
from hs2s_core.data.stills import StillSet
from hs2s_core.data.synthesis import Synthesizer
from hs2s_core.errors import InvalidConfig
from hs2s_core.training.batches import ClipSource, Mixture
from hs2s_core.training.config import DataConfig


def clip_source(config: DataConfig) -> ClipSource:
    """Synthetic clips from stills, real clips, or a mixture of both."""
    splits: dict[str, Any] = json.loads(config.splits.read_text()) if config.splits else {}
    sources: list[ClipSource] = []
    shares: list[float] = []
    if config.stills and config.real < 1:
        stills = StillSet(config.root, config.stills, splits.get("train_stills"), config.cache)
        sources.append(Synthesizer(stills))
        shares.append(1 - config.real)
    if config.videos and config.real > 0:
        sets = {
            name: (_members(config, splits, name), share) for name, share in config.videos.items()
        }
        sources.append(ClipSet.from_folders(config.root, sets))
        shares.append(config.real)
    if not sources:
        raise InvalidConfig("no training data: set [data] stills, or videos with real > 0")
    return Mixture(sources, shares)


def _members(config: DataConfig, splits: dict[str, Any], name: str) -> Sequence[str]:
    if "train_video" in splits:
        members: Sequence[str] = splits["train_video"][name]
        return members
    return sorted(path.name for path in (config.root / name / "JPEGImages").iterdir())
