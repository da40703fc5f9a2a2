"""Boxes and points as people write them, and what is refused of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hs2s_core.errors import HS2SError
from hs2s_core.prompts.hints import Hint, is_hint, parse_hint, read_hints

BOX = (10.0, 20.0, 110.5, 220.0)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("10,20,110.5,220", (1, Hint(BOX))),
        ("7:10,20,110.5,220:+50,60", (7, Hint(BOX, ((50, 60),)))),
        ("2:+50,60:-9,8:+1,2", (2, Hint(None, ((50, 60), (1, 2)), ((9, 8),)))),
    ],
)
def test_words(word: str, expected: tuple[int, Hint]) -> None:
    assert is_hint(word)
    assert parse_hint(word) == expected


def test_files_are_no_hints() -> None:
    assert not any(map(is_hint, ("mask.png", "00040.png", "a,b.png", "40", "10:20")))


@pytest.mark.parametrize("word", ["1,2,3", "2:", "+1,2,3", "1,2,3,4:5,6,7,8", "1,2", "2:-1", ",,,"])
def test_other_words_are_refused(word: str) -> None:
    with pytest.raises(HS2SError, match=r"expected \[OBJECT:\] and a box"):
        parse_hint(word)


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "hints.json"
    path.write_text(
        json.dumps(
            [
                {"object": 3, "box": BOX, "outside": [[9, 8]]},
                {"object": 4, "inside": [[1, 2], [3, 4]]},
            ]
        )
    )
    assert list(read_hints(path)) == [
        (3, Hint(BOX, (), ((9, 8),))),
        (4, Hint(None, ((1, 2), (3, 4)))),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read as JSON"),
        ('[{"box": [1, 2, 3, 4]}]', "KeyError.'object'"),
        ('[{"object": 1, "box": [1, 2, 3]}]', "3 numbers instead of 4"),
        ('[{"object": 1.5, "box": [1, 2, 3, 4]}]', "object 1.5 is no whole number"),
        ('[{"object": true, "box": [1, 2, 3, 4]}]', "object True is no whole number"),
        ('[{"object": 1, "boxes": [1, 2, 3, 4]}]', "unknown keys"),
        ("[5]", "expected a list of"),
    ],
)
def test_other_files_are_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "hints.json"
    path.write_text(text)
    with pytest.raises(HS2SError, match=message) as error:
        list(read_hints(path))
    assert str(path) in str(error.value)
