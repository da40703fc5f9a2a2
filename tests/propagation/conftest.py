"""What several test files of this room share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..threads import threads


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Of torch's, as this suite runs on one."""
    with threads(2):
        yield
