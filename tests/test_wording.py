"""Numbers and names in messages."""

from __future__ import annotations

import pytest

from hs2s_core.wording import counted, some


@pytest.mark.parametrize(
    ("number", "noun", "said"),
    [
        (0, "video", "0 videos"),
        (1, "video", "1 video"),
        (2, "wanted video", "2 wanted videos"),
        (1, "class", "1 class"),
        (3, "class", "3 classes"),
    ],
)
def test_counted(number: int, noun: str, said: str) -> None:
    assert counted(number, noun) == said


def test_some_of_many_names() -> None:
    assert some([]) == "none"
    assert some("abc") == "a, b, c"
    assert some("abcdefg") == "a, b, c, d, e and 2 more"
