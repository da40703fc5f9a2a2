"""Errors a user can act on: what was found, what was expected, what to do."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

__all__ = [
    "HS2SError",
    "InvalidConfig",
    "InvalidDataset",
    "InvalidMask",
    "InvalidMedia",
    "InvalidWeights",
    "check_choice",
]


@lru_cache(maxsize=1)
def docs_folder() -> Path | None:
    """The folder of pages: a wheel holds them in the plugin's package, a clone at its root."""
    root = Path(__file__).resolve().parents[1]
    places = (root / "hs2s_fiftyone" / "docs", root / "docs")
    return next((place for place in places if (place / "troubleshooting.md").is_file()), None)


def where_to_read(page: str | None) -> str | None:
    """Where a page of docs/ lies, in words; None without a page, or in an installation without."""
    folder = docs_folder()
    return None if page is None or folder is None else f"More: {folder / page}"


class HS2SError(ValueError):
    """Base of every error raised on bad input, bad files or a missing requirement.

    From Python 3.11 on a traceback ends with the page to read, where there is one.
    """

    page: ClassVar[str | None] = None
    """Of docs/, where it helps with errors of this kind."""

    def __init__(self, *args: object) -> None:
        """``args`` as of every exception: the message."""
        super().__init__(*args)
        words = where_to_read(self.page)
        if words is not None:
            self.__notes__ = [words]


class InvalidMask(HS2SError):
    """A prompt, label or mask file that cannot be used as an object mask."""

    page = "troubleshooting.md"


class InvalidMedia(HS2SError):
    """A video file or frame folder that cannot be read."""

    page = "troubleshooting.md"


class InvalidDataset(HS2SError):
    """A dataset folder or its metadata that does not follow the expected layout."""

    page = "data.md"


class InvalidWeights(HS2SError):
    """A weights file or checkpoint whose tensors do not fit the model."""

    page = "questions.md"


class InvalidConfig(HS2SError):
    """A model or training configuration that cannot be built."""

    page = "training.md"


def check_choice(
    name: str, value: str, known: Collection[str], error: type[HS2SError] = HS2SError
) -> str:
    """``value``, which is that of the parameter ``name``, if it is ``known``; raises otherwise."""
    if value not in known:
        raise error(f"{name} is {value!r}; expected one of {', '.join(known)}")
    return value
