"""Files that ship with the package: default weights, their card, the demo clip."""

from __future__ import annotations

from pathlib import Path

from hs2s_core.errors import HS2SError

_PACKAGE = Path(__file__).resolve().parent
# An installed wheel holds `assets/` inside the package, a clone beside it.
_FOLDERS = (_PACKAGE / "assets", _PACKAGE.parent / "assets")


def asset(name: str) -> Path:
    """Path of the shipped file ``name``, for example ``"hs2s-lite.safetensors"``.

    Raises HS2SError with the places searched when the installation lacks it.
    """
    for folder in _FOLDERS:
        if (folder / name).exists():
            return folder / name
    places = " or ".join(str(folder) for folder in _FOLDERS)
    raise HS2SError(
        f"{name!r} is not in {places}; the installation is incomplete: reinstall hs2s-fiftyone, "
        "or clone the repository again"
    )
