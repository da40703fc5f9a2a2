"""What a load of a VOS folder will do, checked before anything is written."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.core.utils as fou

from hs2s_core.data.folders import open_folder
from hs2s_core.data.videos import VosFolder
from hs2s_core.errors import HS2SError, InvalidDataset
from hs2s_core.media.encode import find_ffmpeg

from ..labels.frame_fields import bare, name_error
from ..videos.collection import INFO_KEY

DEFAULT_LABEL_FIELD = "ground_truth"
MARK = "HS2S: frames of "
"""How the comment in an encoded video begins."""


class InvalidSettings(InvalidDataset):
    """What stops a load before it starts, by the argument that has to change."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        self.errors = dict(errors)
        super().__init__("; ".join(self.errors.values()))


@dataclass(frozen=True)
class LoadSettings:
    """What is to be loaded, see ``dataset.load``."""

    root: str | Path
    name: str | None = None
    split: str | None = None
    label_field: str = DEFAULT_LABEL_FIELD
    videos: str | Sequence[str] | None = None
    max_samples: int | None = None
    fps: float | None = None
    video_dir: str | Path | None = None
    persistent: bool = False


@dataclass(frozen=True)
class LoadPlan:
    """A load that may start: all settings were checked, nothing was written."""

    asked: LoadSettings
    folder: VosFolder
    name: str
    label_field: str
    fps: float
    video_dir: Path
    videos: tuple[str, ...]

    @property
    def mark(self) -> str:
        """What the encoded videos say of where they are from; a path would tell of its user."""
        source = hashlib.sha256(str(self.folder.images).encode()).hexdigest()[:16]
        return f"{MARK}{source}"

    @property
    def source(self) -> dict[str, Any]:
        """What a dataset remembers about where it came from."""
        seen = self.folder.seen_categories
        return {
            "root": str(self.folder.root),
            "split": self.folder.split,
            "layout": self.folder.layout,
            "label_field": self.label_field,
            "seen_categories": sorted(seen) if seen is not None else None,
        }


def plan_load(asked: LoadSettings) -> LoadPlan:
    """Check all settings without writing; InvalidSettings has every error.

    An error of ``root`` or ``split`` hides the others, which depend on the folder.
    """
    try:
        folder = open_folder(asked.root, asked.split)
    except HS2SError as error:
        key = "root" if asked.split is None else "split"
        raise InvalidSettings({key: str(error)}) from error
    errors: dict[str, str] = {}
    chosen = _choose(folder, asked, errors)
    label_field = bare(asked.label_field)
    if wrong := name_error(label_field):
        errors["label_field"] = wrong
    rate = folder.fps if asked.fps is None else float(asked.fps)
    if not 0.01 <= rate <= 240:
        errors["fps"] = f"{rate:g} frames per second; expected 0.01 to 240."
    name = asked.name or _default_name(folder)
    video_dir = _video_dir(asked.video_dir, name, folder, rate)
    plan = LoadPlan(asked, folder, name, label_field, rate, video_dir, chosen)
    errors |= _name_errors(plan)
    try:
        find_ffmpeg()
    except HS2SError as error:
        errors["ffmpeg"] = str(error)
    if errors:
        raise InvalidSettings(errors)
    return plan


def _choose(folder: VosFolder, asked: LoadSettings, errors: dict[str, str]) -> tuple[str, ...]:
    names, videos, most = folder.names, asked.videos, asked.max_samples
    if not names:
        errors["root"] = f"{folder.images}: no videos; expected one folder of frames per video."
    if videos is not None:
        wanted = [videos] if isinstance(videos, str) else list(videos)
        unknown = [name for name in wanted if name not in names]
        if unknown:
            errors["videos"] = (
                f"no video '{unknown[0]}' in {folder.images}; expected names such as "
                f"{', '.join(names[:3])}."
            )
        names = tuple(dict.fromkeys(wanted))
    if most is not None and most < 1:
        errors["max_samples"] = f"max_samples is {most}; expected at least 1."
    return names[:most]


def _default_name(folder: VosFolder) -> str:
    """``YouTube-VOS-valid``, ``DAVIS-2017-val``, ``my-videos``."""
    parts = [folder.root.name]
    if folder.split is not None:
        base = folder.root.parent if folder.layout == "youtube-vos" else folder.root
        parts = [base.name, folder.split.replace("/", "-")]
    return "-".join(part for part in parts if part) or "vos"


def _name_errors(plan: LoadPlan) -> dict[str, str]:
    """A dataset of that name may only be one that was loaded from the same place."""
    if not fo.dataset_exists(plan.name):
        try:
            fou.to_slug(plan.name)
        except ValueError as error:
            return {"name": f"'{plan.name}' cannot name a dataset ({error}); choose another name."}
        return {}
    source = fo.load_dataset(plan.name).info.get(INFO_KEY)
    if source is None:
        return {
            "name": f"a dataset '{plan.name}' exists and was not loaded from a VOS folder; choose "
            "another name."
        }
    for key in ("root", "split", "label_field"):
        if source.get(key) != plan.source[key]:
            return {
                "name": f"a dataset '{plan.name}' exists and was loaded with {key} "
                f"'{source.get(key)}', not '{plan.source[key]}'; choose another name or delete it."
            }
    return {}


def _video_dir(given: str | Path | None, name: str, folder: VosFolder, fps: float) -> Path:
    """Encoded videos of one source; a second source under the same name gets its own folder."""
    if given is not None:
        return Path(given).expanduser().absolute()
    source = hashlib.sha256(f"{folder.images}\n{fps:g}".encode()).hexdigest()[:8]
    slug = re.sub(r"[^\w.-]+", "-", name).strip(".-") or "vos"
    return Path(fo.config.default_dataset_dir) / slug / f"videos-{source}"
