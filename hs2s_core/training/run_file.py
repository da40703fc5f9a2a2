"""A run's TOML file: read into a :class:`TrainingConfig`, changed by ``--set``, and written.

One rule for paths: those of data (``splits`` and all folders, trained on or scored on) start at
``root`` of ``[data]`` where it is set, and ``root`` and all others at the file's folder.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from hs2s_core.checked.settings import from_table, to_toml
from hs2s_core.errors import InvalidConfig
from hs2s_core.files import read_text
from hs2s_core.models.config import ModelConfig, config_from_dict
from hs2s_core.models.presets import PRESETS, preset
from hs2s_core.models.pretrained import LITE_BACKBONES
from hs2s_core.training.config import FolderConfig, TrainingConfig
from hs2s_core.training.losses import LOSS_PRESETS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Table = dict[str, Any]
_SECTIONS = ("model", "data", "stages")


def read_config(
    path: Path, *, root: Path | None = None, changes: Iterable[str] = ()
) -> TrainingConfig:
    """Read a run from TOML, with ``root`` in place of the file's and ``changes`` to its settings.

    Raises:
        InvalidConfig: no such file, not TOML, unknown or missing keys, or values that do not fit;
            named with what is expected.
    """
    try:
        values = tomllib.loads(read_text(path))
    except (OSError, ValueError) as error:
        raise InvalidConfig(f"{path}: cannot be read as a TOML file ({error})") from error
    if root is not None and isinstance(values.get("data"), dict):
        values["data"]["root"] = str(root.resolve())
    for change in changes:
        _set(values, change)
    try:
        return config_from_table(values, path.parent)
    except InvalidConfig as error:
        raise InvalidConfig(f"{path}: {error}") from error


def change_config(config: TrainingConfig, changes: Iterable[str]) -> TrainingConfig:
    """``config`` with ``changes``, each ``key=value`` as on the command line."""
    values = config_table(config)
    for change in changes:
        _set(values, change)
    return config_from_table(values, Path())


def config_from_table(values: Table, folder: Path) -> TrainingConfig:
    """A run from the tables of its file; relative paths start at ``folder``."""
    missing = [section for section in _SECTIONS if section not in values]
    if missing:
        raise InvalidConfig(
            f"no section '{missing[0]}'; expected [model], [data] and [[stages]] (docs/training.md)"
        )
    losses = values.get("losses", "lite")
    if isinstance(losses, str):
        if losses not in LOSS_PRESETS:
            raise InvalidConfig(f"no losses {losses!r}; expected one of {', '.join(LOSS_PRESETS)}")
        losses = LOSS_PRESETS[losses]
    parts = {"model": _model(values["model"]), "losses": losses}
    return _placed(from_table(TrainingConfig, {**values, **parts}, "the run"), folder)


def config_table(config: TrainingConfig) -> Table:
    """The inverse of :func:`config_from_table`, with the preset that is nearest to the network."""
    return {**asdict(config), "model": _nearest(config.model)}


def write_config(config: TrainingConfig) -> str:
    """``config`` as TOML; :func:`read_config` gives an equal one."""
    return to_toml(config_table(config))


def _placed(config: TrainingConfig, folder: Path) -> TrainingConfig:
    """``config`` with its paths made absolute."""
    data, scored, start = config.data, config.validation, config.start
    root = data.root and _path(data.root, folder)
    base = root or folder

    def placed(folders: Iterable[FolderConfig]) -> tuple[FolderConfig, ...]:
        return tuple(replace(each, path=_path(each.path, base)) for each in folders)

    splits = data.splits and _path(data.splits, base)
    data = replace(data, root=root, splits=splits, folders=placed(data.folders))
    scored = scored and replace(scored, folders=placed(scored.folders))
    if start is not None and start.endswith(".safetensors"):
        start = str(_path(start, folder))
    backbone = config.pretrained_backbone
    if isinstance(backbone, str) and backbone not in LITE_BACKBONES:
        backbone = str(_path(backbone, folder))
    return replace(config, data=data, validation=scored, start=start, pretrained_backbone=backbone)


def _path(value: str | Path, base: Path) -> Path:
    return (base / Path(value).expanduser()).resolve()


def _model(values: Any) -> ModelConfig:
    if not isinstance(values, Mapping):
        raise InvalidConfig(f"[model] is {values!r}; expected a table of settings")
    changes = dict(values)
    name = changes.pop("preset", "hs2s-lite")
    if not isinstance(name, str):
        raise InvalidConfig(f"[model]: preset is {name!r}; expected a text")
    try:
        return config_from_dict({**preset(name).to_dict(), **changes})
    except InvalidConfig as error:
        raise InvalidConfig(f"[model]: {error}") from error


def _nearest(model: ModelConfig) -> Table:
    """The table of a network: the preset that it differs least from, and the differences."""
    values = model.to_dict()

    def changes(name: str) -> Table:
        base = PRESETS[name].to_dict()
        return {key: value for key, value in values.items() if base.get(key) != value}

    name = min(PRESETS, key=lambda name: len(changes(name)))
    return {"preset": name, **changes(name)}


def _set(values: Table, change: str) -> None:
    """Apply one ``key=value``; a key names tables and places in lists, as ``stages.0.steps``."""
    key, found, text = change.partition("=")
    if not found or not key.strip():
        raise InvalidConfig(f"--set {change}: expected KEY=VALUE, as learning_rate=5e-4")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    *parents, last = key.strip().split(".")
    table: Any = values
    for parent in parents:
        if isinstance(table, dict) and table.get(parent) is None:
            table[parent] = {}
        table = _entry(table, parent, change)
    if isinstance(table, (list, tuple)):
        raise InvalidConfig(f"--set {change}: {last!r} is not inside a table")
    table[last] = value


def _entry(table: Any, name: str, change: str) -> Any:
    """The table inside a table, or a list, that a part of a key names."""
    try:
        entry = table[int(name)] if isinstance(table, (list, tuple)) else table[name]
    except (ValueError, IndexError, KeyError, TypeError):
        entry = None
    if not isinstance(entry, (dict, list, tuple)):
        raise InvalidConfig(
            f"--set {change}: there is no table {name!r}; expected KEY=VALUE, as data.real=0.5 or "
            "stages.0.steps=100"
        )
    return entry
