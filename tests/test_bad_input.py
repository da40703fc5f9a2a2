"""The table of bad inputs in docs/troubleshooting.md: every message is what is really said."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from pymongo.errors import ServerSelectionTimeoutError

from hs2s_core.data.results import check_free, writing_masks
from hs2s_core.errors import HS2SError
from hs2s_core.jobs import Done, Item, Tick, Work
from hs2s_core.media.frames import open_frames
from hs2s_core.media.images import RGBImage
from hs2s_core.media.masks import read_id_map, write_id_map
from hs2s_core.prompts import Prompt, Prompts
from hs2s_core.prompts.hints import Hint
from hs2s_core.propagation import Propagator, Session, propagate
from hs2s_fiftyone.jobs import VideoJob, claim

from .cli.conftest import clip, run, weights  # noqa: F401
from .plugin.helpers import tiny_network
from .propagation.carrier import SIZE, Carrier, Clip, box

PAGE = Path(__file__).parents[1] / "docs/troubleshooting.md"


class CutShort(Clip):
    """Claims ten frames and has three."""

    def at(self, index: int) -> RGBImage:
        if index >= 3:
            raise IndexError
        return super().at(index)


def cut_short(_: Path) -> None:
    list(propagate(Carrier(), CutShort(10), {8: {1: box(2, 1)}}))


def no_frames(folder: Path) -> None:
    open_frames(folder)


def no_video(folder: Path) -> None:
    (folder / "clip.mp4").write_text("words")
    open_frames(folder / "clip.mp4")


def nothing_in_it(folder: Path) -> None:
    path = str(folder / "clip.avi")
    cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48)).release()
    open_frames(path)


def interlaced(folder: Path) -> None:
    source = ["-f", "lavfi", "-i", "testsrc=s=64x48:d=1", "-vf", "setfield=tff"]
    encoded = ["-c:v", "libx264", "-flags", "+ildct+ilme", "-pix_fmt", "yuv420p"]
    path = folder / "clip.mp4"
    subprocess.run(["ffmpeg", "-loglevel", "error", *source, *encoded, str(path)], check=True)
    open_frames(path)


def mixed_sizes(folder: Path) -> None:
    for name, size in (("0.png", (8, 8)), ("1.png", (8, 9))):
        Image.new("RGB", size).save(folder / name)
    list(open_frames(folder))


def soft_edges(folder: Path) -> None:
    ramp = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (64, 1))
    Image.fromarray(ramp).save(folder / "mask.png")
    read_id_map(folder / "mask.png")


def probabilities_in_a_file(folder: Path) -> None:
    Image.fromarray((65535 * _blob()).astype(np.uint16)).save(folder / "mask.png")
    read_id_map(folder / "mask.png")


def probabilities(_: Path) -> None:
    Prompt(0, 1, _blob())


def _blob() -> np.ndarray:
    rows, columns = np.mgrid[:48, :64]
    return np.clip(1.5 - np.hypot(rows - 24, columns - 32) / 16, 0, 1)


def no_png(folder: Path) -> None:
    Image.new("L", (8, 8)).save(folder / "mask.jpg")
    read_id_map(folder / "mask.jpg")


def other_size(_: Path) -> None:
    Prompts.of({0: {1: box(2, 1)}}).check((24, 32), 10)


def empty(_: Path) -> None:
    Prompt(0, 1, np.zeros(SIZE, bool))


def high_id(_: Path) -> None:
    Prompt(0, 65536, box(2, 1))


def too_late(_: Path) -> None:
    list(propagate(Carrier(), Clip(10), {10: {1: box(2, 1)}}))


def twice(_: Path) -> None:
    Prompts([Prompt(0, 1, box(2, 1)), Prompt(0, 1, box(3, 1))])


def box_outside(_: Path) -> None:
    Prompt.pointed(0, 1, np.zeros((*SIZE, 3), np.uint8), Hint((0, 0, 17, 5)))


def two_at_once(folder: Path) -> None:
    with Session(folder / "s", Carrier()), Session(folder / "s", Carrier()):
        pass


def read_only(_: Path) -> None:
    """Root may write anywhere, so it is somebody else who tries."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o555)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        try:
            check_free(Path(place) / "masks", overwrite=False)
        finally:
            if root:
                os.seteuid(0)


def two_writers(folder: Path) -> None:
    with writing_masks(folder / "masks"), writing_masks(folder / "masks"):
        pass


def no_memory(_: Path) -> None:
    model = tiny_network()
    propagator = Propagator(model)

    def encode(frame: object) -> object:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    propagator.engine._network.model.encode = encode  # type: ignore[attr-defined]
    propagator.step(np.zeros((64, 96, 3), np.uint8), {1: np.ones((64, 96), bool)})


def two_on_a_video(_: Path) -> None:
    with claim("sample.field", "clip"), claim("sample.field", "clip"):
        pass


class Lost(VideoJob[Done]):
    """A job whose database stops in the middle of a video."""

    def video(self, item: Item) -> Work[Done]:
        yield Tick(0.5, "frame 1")
        raise ServerSelectionTimeoutError("localhost:27017: connection refused")


def no_database(_: Path) -> None:
    for _tick in Lost(None).open()(Item("key", "clip")):  # type: ignore[arg-type]
        pass


CASES: dict[str, Callable[[Path], None]] = {
    "a folder without pictures": no_frames,
    "a file that is no video": no_video,
    "an interlaced video": interlaced,
    "a video without a frame": nothing_in_it,
    "a video that was cut short, masks after its end": cut_short,
    "frames of several sizes": mixed_sizes,
    "masks with soft edges": soft_edges,
    "probabilities as grey, of 8 or 16 bits": probabilities_in_a_file,
    "probabilities as an array": probabilities,
    "masks that are no PNG": no_png,
    "a mask of another size than the frames": other_size,
    "an empty mask": empty,
    "an object id above 65535": high_id,
    "a mask for a frame after the end": too_late,
    "two masks for one object in one frame": twice,
    "a box or point outside of the frame": box_outside,
    "two runs on one session": two_at_once,
    "two runs that write masks to one folder": two_writers,
    "two runs at one video of a dataset": two_on_a_video,
    "a folder that cannot be written to": read_only,
    "more than a GPU's memory holds, with one object at a time": no_memory,
    "a MongoDB that stops in the middle": no_database,
}


def rows() -> dict[str, str]:
    """Input -> message of the page's table."""
    table = PAGE.read_text(encoding="utf-8").split("## Bad input")[1].split("\n## ")[0]
    return dict(re.findall(r"^\| ([^`|]+) \| `([^`]+)` \| [^|]+ \|$", table, re.M))


def test_the_table_lists_every_case() -> None:
    assert rows().keys() == CASES.keys()


@pytest.mark.parametrize("name", CASES)
def test_the_message_is_the_one_that_is_said(name: str, tmp_path: Path) -> None:
    with pytest.raises(HS2SError) as error:
        CASES[name](tmp_path)
    assert rows()[name] in str(error.value)


def test_a_full_disk_costs_nothing_that_was_there(
    clip: Path,  # noqa: F811
    weights: Path,  # noqa: F811
    run: Callable[..., tuple[int, str, str]],  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "out"
    words = ("propagate", clip / "frames", clip / "masks" / "10.png", out, "--weights", weights)
    assert run(*words)[0] == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def full(path: Path, id_map: np.ndarray) -> None:
        if path.stem == "13":
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write_id_map(path, id_map)

    monkeypatch.setattr("hs2s_core.commands.propagate_work.write_id_map", full)
    status, _, err = run(*words, "--overwrite", "--report", tmp_path / "report.csv")
    assert status == 2
    assert "No space left on device" in err
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_a_second_run_leaves_the_first_alone(tmp_path: Path) -> None:
    """What is left of a killed run goes; what a living one has written so far stays."""
    out, mask = tmp_path / "out", np.ones(SIZE, np.uint8)
    torn = tmp_path / ".out.999999.part"
    torn.mkdir()
    beside = tmp_path / ".out.b.999999.part"
    beside.mkdir()
    with writing_masks(out) as part:
        write_id_map(part / "0.png", mask)
        with pytest.raises(HS2SError, match="another run is writing"), writing_masks(out):
            pass
        with writing_masks(tmp_path / "other") as free:
            write_id_map(free / "0.png", mask)
    assert [path.name for path in out.iterdir()] == ["0.png"]
    assert not torn.exists()
    assert beside.exists(), "that of another folder"
    with writing_masks(out) as part:
        write_id_map(part / "1.png", mask)
    assert [path.name for path in out.iterdir()] == ["1.png"]


def test_a_link_to_nowhere_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to(tmp_path / "gone" / "masks")
    with pytest.raises(HS2SError, match=r"out: is a link to .*masks, which is not there"):
        check_free(tmp_path / "out", overwrite=True)
