"""Calls refuse arguments of other types than their signatures say, in words."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from hs2s_core.checked.calls import WrongType, argument_hints, check_types, checked_call
from hs2s_core.errors import HS2SError

if TYPE_CHECKING:
    from hs2s_core.models import VideoSegmenter


@checked_call
def call(
    video: str | Path = "a.mp4",
    *,
    model: VideoSegmenter | str | None = None,
    count: int = 1,
    rate: float = 0.5,
    strict: bool = False,
    names: Sequence[str] | None = None,
    masks: Mapping[int, int] | None = None,
    watch: Callable[[int], object] | None = None,
    box: tuple[float, float] | None = None,
) -> int:
    return count


class VideoSegmenter2:
    pass


Loaded = type("Loaded", (type("VideoSegmenter", (), {}),), {})


@pytest.mark.parametrize(
    "fitting",
    [
        {"video": Path("a.mp4"), "count": np.int64(3), "rate": 1, "strict": np.bool_(True)},
        {"model": Loaded(), "names": ("a",), "masks": {}, "watch": print},
        {"model": None, "rate": np.float32(0.5), "names": [], "watch": None, "box": [1, 2.5]},
    ],
)
def test_what_fits_is_taken(fitting: dict[str, Any]) -> None:
    assert call(**fitting) == fitting.get("count", 1)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"video": None}, r"video is None \(NoneType\); expected a text or a path"),
        ({"model": 3}, r"model is 3 \(int\); expected a loaded network or a text or None"),
        ({"model": VideoSegmenter2()}, "expected a loaded network or a text or None"),
        ({"count": "x"}, r"count is 'x' \(str\); expected a whole number"),
        ({"count": True}, "expected a whole number"),
        ({"rate": "fast"}, "expected a number"),
        ({"strict": "no"}, "expected true or false"),
        ({"names": "dog"}, "expected a list, each a text or None"),
        ({"names": ["dog", 3]}, r"names is \['dog', 3\] \(list\)"),
        ({"masks": [1]}, "expected a mapping, each value a whole number or None"),
        ({"masks": {1: "a"}}, r"masks is \{1: 'a'\} \(dict\)"),
        ({"box": (1, 2, 3)}, r"expected \(a number, a number\) or None"),
        ({"watch": 3}, "expected a function or None"),
        ({"names": [["long"] * 99] * 99}, r"names is .{20,400}; expected"),
    ],
)
def test_what_does_not_fit_is_named(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(HS2SError, match=words):
        call(**wrong)
    with pytest.raises(TypeError):
        call(**wrong)


@pytest.mark.parametrize("package", ["hs2s_core", "hs2s_fiftyone"])
def test_every_public_call_refuses_them(package: str) -> None:
    """And its signature can be read without what it imports for type checkers only."""
    module = importlib.import_module(package)
    calls = {name: getattr(module, name) for name in module.__all__}
    for name, value in calls.items():
        if inspect.isfunction(value):
            assert hasattr(value, "__wrapped__"), name
            assert argument_hints(value.__wrapped__), name
            with pytest.raises(WrongType):
                value(**{next(iter(argument_hints(value.__wrapped__))): object()})


def test_classes_refuse_them_too(tmp_path: Path) -> None:
    from hs2s_core import Hint, Prompts, Propagator, Session

    with pytest.raises(WrongType, match=r"model is 3 \(int\); expected a loaded network or"):
        Propagator(3)  # type: ignore[arg-type]
    with pytest.raises(WrongType, match="model is 'hs2s-lite'"):
        Session(tmp_path, "hs2s-lite")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
    with pytest.raises(WrongType, match="expected a list, each a Prompt"):
        Prompts([np.ones((4, 4))])  # type: ignore[list-item]
    with pytest.raises(WrongType, match="each value a mapping, each value an array"):
        Prompts.of({0: np.ones((4, 4))})  # type: ignore[dict-item]
    with pytest.raises(WrongType, match=r"inside is \(3, 4\) .*, each \(a number, a number\)"):
        Hint(inside=(3, 4))  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(64, 96), (64, 96, 4)])
def test_frames_that_are_no_rgb_are_named(shape: tuple[int, ...]) -> None:
    from hs2s_core import Hint, Prompt, draw_masks

    frame = np.zeros(shape, np.uint8)
    with pytest.raises(HS2SError, match="expected RGB uint8"):
        Prompt.pointed(0, 1, frame, Hint(box=(8, 8, 40, 40)))
    with pytest.raises(HS2SError, match="expected RGB uint8"):
        draw_masks(frame, np.zeros((64, 96), np.uint8))


def test_a_path_in_place_of_frames_is_told_how_to_be_read() -> None:
    from hs2s_core import propagate

    with pytest.raises(WrongType, match=r"expected frames, as open_frames\(path\) reads them"):
        check_types(propagate, {"frames": "clip.mp4"})
