"""What is said of the App's player."""

from __future__ import annotations

import pytest

from hs2s_fiftyone.player import time_shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0:00.00"), (21 / 24, "0:00.87"), (59.999, "0:59.99"), (61.5, "1:01.50")],
)
def test_a_time_is_that_of_the_player(seconds: float, shown: str) -> None:
    assert time_shown(seconds) == shown
