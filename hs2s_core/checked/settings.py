"""Settings as frozen dataclasses: what a field declares decides what is checked, read and written.

A subclass of :class:`Checked` refuses values of another type or out of range when it is made.
:func:`from_table` makes one from a table of TOML or JSON, and :func:`to_toml` writes it.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
from collections.abc import Mapping
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from hs2s_core.errors import InvalidConfig

T = TypeVar("T", bound="Checked")


def setting(
    default: Any = MISSING,
    *,
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
    choices: tuple[Any, ...] = (),
) -> Any:
    """A field of a :class:`Checked`; limits and choices hold for each number or text in it."""
    limits = {"least": least, "most": most, "above": above, "choices": choices}
    return dataclasses.field(default=default, metadata=limits)


@dataclass(frozen=True)
class Checked:
    """Base of settings; numbers must be finite, whole ones are taken where any will do.

    Lists become tuples and texts paths where the field is such.
    """

    def __post_init__(self) -> None:
        """Refuse, naming it, the first value that its field does not allow."""
        hints = get_type_hints(type(self))
        for field in dataclasses.fields(self):
            value, hint = getattr(self, field.name), hints[field.name]
            try:
                fitting = _fit(value, hint, field.metadata)
            except _Misfit:
                raise InvalidConfig(
                    f"{field.name} is {_shown(value)}; expected {expectation(hint, field.metadata)}"
                ) from None
            object.__setattr__(self, field.name, fitting)


class _Misfit(Exception):
    """A value is not of a type."""


def expectation(hint: Any, limits: Mapping[str, Any]) -> str:
    """What a field takes, in words: ``a whole number of at least 1``."""
    if get_origin(hint) in (Union, types.UnionType):
        known = [part for part in get_args(hint) if part is not type(None)]
        return " or ".join(expectation(part, limits) for part in known)
    if get_origin(hint) is tuple:
        first, *others = get_args(hint)
        each = expectation(first, limits).removeprefix("a ")
        for word in ("number", "text", "path", "table"):
            each = each.replace(word, f"{word}s", 1)
        return f"a list of {each}" if others == [...] else f"two {each}"
    if hint is bool:
        return "true or false"
    if limits.get("choices"):
        return " or ".join(map(repr, limits["choices"]))
    if hint is str:
        return "a text"
    if hint is Path:
        return "a path"
    if hint in (int, float):
        return f"a {'whole ' if hint is int else ''}number{_range(limits)}"
    return "a table"


def _range(limits: Mapping[str, Any]) -> str:
    least, most, above = (limits.get(name) for name in ("least", "most", "above"))
    if least is not None and most is not None:
        return f" from {least} to {most}"
    words = ((" of at least", least), (" above", above), (" of at most", most))
    return " and".join(f"{word} {limit}" for word, limit in words if limit is not None)


def _fit(value: Any, hint: Any, limits: Mapping[str, Any]) -> Any:
    """``value`` as a field of type ``hint`` holds it."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        for part in parts:
            try:
                return _fit(value, part, limits)
            except _Misfit:
                continue
        raise _Misfit
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise _Misfit
        kinds = [parts[0]] * len(value) if parts[1:] == (...,) else list(parts)
        if len(kinds) != len(value):
            raise _Misfit
        return tuple(_fit(item, kind, limits) for item, kind in zip(value, kinds, strict=True))
    if hint is Path and isinstance(value, str):
        return Path(value)
    if hint is float and type(value) is int:
        value = float(value)
    if type(value) is not hint and not (hint not in (bool, int) and isinstance(value, hint)):
        raise _Misfit
    if not _within(value, limits):
        raise _Misfit
    return value


def _within(value: Any, limits: Mapping[str, Any]) -> bool:
    if limits.get("choices"):
        return value in limits["choices"]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return True
    least, most, above = (limits.get(name) for name in ("least", "most", "above"))
    return (
        math.isfinite(value)
        and (least is None or value >= least)
        and (most is None or value <= most)
        and (above is None or value > above)
    )


def from_table(cls: type[T], values: Any, where: str) -> T:
    """A ``cls`` from a table of TOML or JSON, with the tables inside it.

    ``where`` names the table in errors, as ``[data]``.

    Raises:
        InvalidConfig: no table; unknown or missing keys; or values that do not fit.
    """
    if not isinstance(values, Mapping):
        raise InvalidConfig(f"{where} is {_shown(values)}; expected a table of settings")
    known = {field.name: field for field in dataclasses.fields(cls)}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise InvalidConfig(
            f"{where}: unknown settings {unknown}; expected some of {sorted(known)}"
        )
    missing = [
        name
        for name, field in known.items()
        if field.default is MISSING and field.default_factory is MISSING and name not in values
    ]
    if missing:
        raise InvalidConfig(f"{where} lacks {', '.join(missing)}")
    hints = get_type_hints(cls)
    inner = {name: _inner(hints[name], value, name) for name, value in values.items()}
    try:
        return cls(**inner)
    except InvalidConfig as error:
        raise InvalidConfig(f"{where}: {error}") from None


def _inner(hint: Any, value: Any, name: str) -> Any:
    """A table or list of tables as what the field holds; anything else as it is."""
    for part in get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,):
        if isinstance(part, type) and issubclass(part, Checked) and isinstance(value, Mapping):
            return from_table(part, value, f"[{name}]")
        first = (*get_args(part), None)[0]
        listed = isinstance(value, (list, tuple))
        if listed and isinstance(first, type) and issubclass(first, Checked):
            return tuple(
                from_table(first, item, f"{name}, number {number}")
                if isinstance(item, Mapping)
                else item
                for number, item in enumerate(value, start=1)
            )
    return value


def to_toml(values: Mapping[str, Any]) -> str:
    """TOML of a table that may hold tables and lists of them; what is ``None`` is left out."""
    inner = {key: value for key, value in values.items() if _holds_tables(value)}
    lines = _entries({key: value for key, value in values.items() if key not in inner})
    for key, value in inner.items():
        alone = isinstance(value, Mapping)
        for table in [value] if alone else value:
            lines += ["", f"[{key}]" if alone else f"[[{key}]]", *_entries(table)]
    return "\n".join(lines) + "\n"


def _holds_tables(value: Any) -> bool:
    """Whether a value is a table, or a list of them."""
    listed = isinstance(value, (list, tuple)) and bool(value)
    return isinstance(value[0] if listed else value, Mapping)


def _entries(table: Mapping[str, Any]) -> list[str]:
    return [f"{key} = {_toml(value)}" for key, value in table.items() if value is not None]


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{ {', '.join(_entries(value))} }}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml, value))}]"
    # Texts, numbers and truth values of JSON are those of TOML.
    return json.dumps(str(value) if isinstance(value, Path) else value)


def _shown(value: Any) -> str:
    return str(value) if isinstance(value, Path) else repr(value)
