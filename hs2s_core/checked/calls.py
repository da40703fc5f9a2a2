"""Arguments of the calls for scripts: one of another type than its signature says is refused."""

from __future__ import annotations

import builtins
import functools
import inspect
import os
import reprlib
import sys
import types
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
import numpy.typing as npt

from hs2s_core.checked.settings import expectation
from hs2s_core.errors import HS2SError

P = ParamSpec("P")
R = TypeVar("R")

_LISTS = (Collection, Iterable, Sequence)
# What is taken for what a signature names.
_TAKEN: dict[Any, tuple[type, ...]] = {
    bool: (bool, np.bool_),
    int: (Integral,),
    float: (Real,),
    Path: (os.PathLike,),
}
_WORDS = {
    "SampleCollection": "a FiftyOne dataset or view (fo.load_dataset(name) opens one by its name)",
    "VideoSegmenter": "a loaded network",
    "Engine": "another engine",
    "FrameSource": "what open_frames() returns",
    "Sample": "a video sample, such as dataset.first()",
    "SampleView": "one of a view",
    "ndarray": "an array",
}


class WrongType(HS2SError, TypeError):
    """An argument of another type than the signature of the call says."""


def checked_call(call: Callable[P, R]) -> Callable[P, R]:
    """Let a call refuse in words, before it begins, what is not of the types of its signature."""
    signature = inspect.signature(call)

    @functools.wraps(call)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        check_types(call, signature.bind_partial(*args, **kwargs).arguments)
        return call(*args, **kwargs)

    return checked


def check_types(call: Callable[..., Any], values: Mapping[str, Any]) -> None:
    """Raise WrongType for the first of ``values`` that is none of what a call or class names."""
    hints = argument_hints(call)
    for name, value in values.items():
        if name in hints and not _fits(value, hints[name]):
            raise WrongType(
                f"{name} is {reprlib.repr(value)} ({type(value).__name__}); "
                f"expected {_words(hints[name])}"
            )


class _Names(dict[str, Any]):
    """Names of a module; what it imports for type checkers only is known by name."""

    def __missing__(self, name: str) -> type:
        return type(name, (_Named,), {})


class _Named:
    """Base of classes that are known by name, as importing them may cost seconds."""


@functools.cache
def argument_hints(call: Callable[..., Any]) -> dict[str, Any]:
    """Types of the arguments of a function, or of the attributes of a class, by name."""
    home = vars(sys.modules[call.__module__])
    hints = get_type_hints(call, localns=_Names({**vars(builtins), **home}))
    return {name: hint for name, hint in hints.items() if name != "return"}


def _fits(value: Any, hint: Any) -> bool:
    kind, parts = get_origin(hint) or hint, get_args(hint)
    if kind in (Union, types.UnionType):
        return any(_fits(value, part) for part in parts)
    if kind is Callable:
        return callable(value)
    if kind is Any or not isinstance(kind, type):
        return True
    if issubclass(kind, _Named):
        return any(each.__name__ == kind.__name__ for each in type(value).__mro__)
    if getattr(kind, "_is_protocol", False):
        methods = (name for name, part in vars(kind).items() if inspect.isfunction(part))
        return all(hasattr(value, name) for name in methods if not name.startswith("_"))
    if isinstance(value, bool) and kind is not bool:
        return False
    if kind in _LISTS and isinstance(value, (str, bytes)):
        return False
    if kind in _LISTS and parts and isinstance(value, (list, tuple, set, frozenset)):
        return all(_fits(each, parts[0]) for each in value)
    if kind is Mapping and parts and isinstance(value, Mapping):
        return all(_fits(each, parts[1]) for each in value.values())
    if kind is tuple and isinstance(value, (list, tuple)):
        inner = parts[:1] * len(value) if parts[1:] == (...,) else parts
        return len(inner) == len(value) and all(map(_fits, value, inner))
    return isinstance(value, _TAKEN.get(kind, kind))


def _words(hint: Any) -> str:
    """What an argument takes: "a text or a path or None"."""
    kind, parts = get_origin(hint) or hint, get_args(hint)
    if hint == npt.ArrayLike:
        return "an array"
    if kind in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(map(_words, parts)))
    if kind is type(None):
        return "None"
    if kind is Callable:
        return "a function"
    if kind is tuple and parts[1:] != (...,):
        return f"({', '.join(map(_words, parts))})"
    if kind in (*_LISTS, tuple):
        pictures = kind is Iterable and get_origin(parts[0]) is np.ndarray
        given = "frames, as open_frames(path) reads them, or a list" if pictures else "a list"
        return f"{given}, each {_words(parts[0])}"
    if kind in (bool, int, float, str, Path):
        return expectation(kind, {})
    if kind is Mapping:
        return f"a mapping, each value {_words(parts[1])}"
    name = getattr(kind, "__name__", str(kind))
    return _WORDS.get(name, f"{'an' if name[0] in 'AEIO' else 'a'} {name}")
