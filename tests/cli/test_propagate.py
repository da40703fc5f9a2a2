"""``hs2s propagate``: every way of giving masks, and every refusal before work starts."""

from __future__ import annotations

import os
import shutil
import signal
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hs2s_core.cli import main
from hs2s_core.jobs.stopping import SIGNALS
from hs2s_core.media.encode import VideoWriter
from hs2s_core.media.frames import ImageFrames, open_frames
from hs2s_core.media.masks import read_id_map, write_id_map
from hs2s_core.media.overlay import draw_masks
from hs2s_core.models import build_model
from hs2s_core.models.inference import choose_pace
from hs2s_core.models.presets import preset
from hs2s_core.prompts import Prompts
from hs2s_core.propagation import propagate
from hs2s_core.propagation.signs import read_signs, suggest_frames
from hs2s_core.weights import load_model, save_weights

from .conftest import FRAMES, SIZE, Run


@pytest.fixture(scope="session")
def video(clip: Path) -> Path:
    path = clip / "clip.mp4"
    with VideoWriter(path, SIZE, 10) as writer:
        for frame in open_frames(clip / "frames"):
            writer.write(frame)
    return path


@pytest.mark.usefixtures("own_signals")
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_leaves_no_half_files(
    number: signal.Signals,
    video: Path,
    clip: Path,
    weights: Path,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also one that a batch system sends, or a terminal that is closed."""

    def write(path: Path, id_map: np.ndarray) -> None:
        if path.stem == "00003":
            os.kill(os.getpid(), number)
        write_id_map(path, id_map)

    monkeypatch.setattr("hs2s_core.commands.propagate_work.write_id_map", write)
    more = ("--overlay", tmp_path / "over.mp4", "--report", tmp_path / "report.csv", "--quiet")
    words = ("propagate", video, clip / "masks" / "10.png", tmp_path / "out", "--frame", 0)
    status, _, err = run(*words, *more, "--weights", weights)
    assert (status, err.strip()) == (128 + number, "hs2s propagate: stopped")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert {f"0000{index}.png" for index in range(3)} <= {
        path.name for path in (tmp_path / "out").iterdir()
    }


def test_folders(clip: Path, weights: Path, run: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    status, said, _ = run("propagate", clip / "frames", clip / "masks", out, "--weights", weights)
    assert status == 0
    assert said.startswith(f"2 objects through {FRAMES} frames")
    assert sorted(path.name for path in out.iterdir()) == [f"{10 + i}.png" for i in range(FRAMES)]
    # Every mask that is given is in the result as it is.
    for path in (clip / "masks").iterdir():
        assert np.array_equal(read_id_map(out / path.name), read_id_map(path))


def test_video_and_overlay(video: Path, weights: Path, run: Run, tmp_path: Path) -> None:
    masks, overlay = tmp_path / "masks", tmp_path / "overlay.mp4"
    mask = np.zeros(SIZE, bool)
    mask[8:24, 16:32] = True
    write_id_map(masks / "000002.png", mask)
    out = tmp_path / "out"
    status, said, _ = run(
        *("propagate", video, masks, out, "--weights", weights, "--overlay", overlay)
    )
    assert status == 0
    assert str(overlay) in said
    assert sorted(path.name for path in out.iterdir()) == [f"{i:05d}.png" for i in range(FRAMES)]
    assert np.array_equal(read_id_map(out / "00002.png") > 0, mask)
    shown = open_frames(overlay)
    assert len(shown) == FRAMES
    assert shown.fps == pytest.approx(10)


def test_a_report_says_how_sure_each_mask_is(
    clip: Path, weights: Path, run: Run, tmp_path: Path
) -> None:
    words = ("propagate", clip / "frames", clip / "masks" / "10.png", tmp_path / "out")
    words += ("--weights", weights, "--report", tmp_path / "report.csv")
    status, said, _ = run(*words)
    assert status == 0
    signs = list(read_signs(tmp_path / "report.csv"))
    assert [(sign.frame, sign.object) for sign in signs] == [(i, 1) for i in range(FRAMES)]
    best = suggest_frames(signs)[0]
    assert f"to correct next: frame {best.frame}, where object 1" in said
    status, _, err = run(*words[:3], tmp_path / "other", *words[4:])
    assert status == 2
    assert "exists already" in err


def test_boxes_and_points(clip: Path, weights: Path, run: Run, tmp_path: Path) -> None:
    """Made to masks by colour: the objects are bright before a dark background."""
    hints = tmp_path / "hints.json"
    hints.write_text('[{"object": 2, "box": [50, 36, 70, 56]}]')
    out, report = tmp_path / "out", tmp_path / "report.json"
    words = ("--out", out, "--weights", weights, "--report", report)
    prompts = ("--prompt", "0=8,8,24,24", "--prompt", f"3={hints}", "--prompt", "3=300:+60,40")
    status, _, err = run("propagate", clip / "frames", *prompts[:4], *words)
    assert status == 0, err
    assert np.array_equal(read_id_map(out / "10.png"), read_id_map(clip / "masks" / "10.png"))
    assert np.array_equal(
        read_id_map(out / "13.png") == 2, read_id_map(clip / "masks" / "13.png") == 2
    )
    origins = {(sign.frame, sign.object): sign.origin for sign in read_signs(report) if sign.given}
    assert origins == {(0, 1): "box", (3, 2): "box"}
    status, _, err = run("propagate", clip / "frames", *prompts, *words, "--overwrite")
    assert status == 0, err
    found = read_id_map(out / "13.png") == 300
    assert found[40, 60]
    assert not (found & (read_id_map(clip / "masks" / "13.png") != 2)).any()
    no = tmp_path / "no"
    for hint, message in (
        ("0=8,8,24,240", "the box 8,8,24,240 is outside"),
        ("9=8,8,24,24", "has frames 0 to 5"),
        ("0=8,8,24", "expected [OBJECT:] and a box"),
        ("0=2:-8,8", "at least one point inside"),
    ):
        status, _, err = run(
            "propagate", clip / "frames", "--prompt", hint, "--out", tmp_path / "no"
        )
        assert status == 2
        assert message in err
    assert not no.exists()


def test_a_session_is_mended(clip: Path, weights: Path, run: Run, tmp_path: Path) -> None:
    words = ("--weights", weights, "--session", tmp_path / "s", "--overwrite")
    out = tmp_path / "out"
    mend = ("--mend", "4=+50,40:-30,20")
    status, _, err = run("propagate", clip / "frames", *mend, "--out", out)
    assert status == 2
    assert "goes with that run's --session" in err
    run("propagate", clip / "frames", clip / "masks" / "10.png", out, *words)
    status, said, err = run("propagate", clip / "frames", *mend, "--out", out, *words)
    assert status == 0, err
    mended = read_id_map(out / "14.png")
    assert (mended[40, 50], mended[20, 30]) == (1, 0)
    assert "to correct next: frame" in said


def test_one_black_and_white_mask(video: Path, weights: Path, run: Run, tmp_path: Path) -> None:
    mask = np.zeros(SIZE, np.uint8)
    mask[8:24, 16:32] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    out = tmp_path / "out"
    status, _, _ = run(
        *("propagate", video, tmp_path / "mask.png", out, "--frame", 3, "--weights", weights)
    )
    assert status == 0
    assert np.array_equal(read_id_map(out / "00003.png") == 1, mask > 0)


@pytest.fixture(params=["bi-hs2s", "hs2s-best"])
def two_way(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Weights, untrained and narrow, of a network that reads frames ahead."""
    torch.manual_seed(0)
    # With the encoder of the fewest layers, for time.
    config = replace(preset(f"{request.param}/32"), input_size=SIZE, encoder="vgg16")
    path = tmp_path / "two_way.safetensors"
    save_weights(build_model(config), path, {"name": "two-way, untrained"})
    return path


def test_networks_that_read_ahead(clip: Path, two_way: Path, run: Run, tmp_path: Path) -> None:
    """Late objects and the overlay's frames are in their places, in chunks or all at once."""
    frames, masks = list(open_frames(clip / "frames")), tmp_path / "masks"
    masks.mkdir()
    for name in ("10.png", "12.png"):
        shutil.copy(clip / "masks" / name, masks / name)
    prompts = Prompts.from_files(masks, open_frames(clip / "frames"))
    for chunk in (4, 16):
        out, overlay = tmp_path / f"out{chunk}", tmp_path / f"{chunk}.mp4"
        words = ("--weights", two_way, "--chunk", chunk, "--overlay", overlay)
        status, said, err = run("propagate", clip / "frames", masks, out, *words)
        assert status == 0, err
        assert said.startswith(f"2 objects through {FRAMES} frames")
        shown = list(open_frames(overlay))
        assert len(shown) == FRAMES
        for result in propagate(load_model(two_way, device="cpu"), frames, prompts, chunk=chunk):
            found = read_id_map(out / f"{result.index + 10}.png")
            assert np.array_equal(found, result.id_map)
            drawn = draw_masks(frames[result.index], found).astype(float)
            errors = [np.abs(drawn - picture).mean() for picture in shown]
            assert np.argmin(errors) == result.index


def test_networks_that_read_ahead_learn_online(
    clip: Path, two_way: Path, run: Run, tmp_path: Path
) -> None:
    words = ("--weights", two_way, "--chunk", 4, "--online-steps", 1)
    out = tmp_path / "out"
    status, said, err = run("propagate", clip / "frames", clip / "masks", out, *words)
    assert status == 0, err
    assert "adapting to the given masks: 1 step" in err
    assert said.startswith(f"2 objects through {FRAMES} frames")


def end_after(patch: pytest.MonkeyPatch, count: int) -> None:
    """Frames end after ``count`` of them, though more are promised."""
    whole = ImageFrames.at

    def at(self: ImageFrames, index: int) -> np.ndarray:
        if index >= count:
            raise IndexError
        return whole(self, index)

    patch.setattr(ImageFrames, "at", at)


def test_a_source_that_ends_before_its_masks(
    clip: Path, weights: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a damaged video does, whose header promises more frames than it holds."""
    end_after(monkeypatch, 2)
    out = tmp_path / "out"
    status, _, err = run("propagate", clip / "frames", clip / "masks", out, "--weights", weights)
    assert status == 2
    assert "the clip ended before it" in err
    assert "a mask is given for frame" in err


def test_nothing_is_overwritten_without_a_word(
    clip: Path, weights: Path, run: Run, tmp_path: Path
) -> None:
    words = ("propagate", clip / "frames", clip / "masks", tmp_path / "out", "--weights", weights)
    assert run(*words)[0] == 0
    status, _, err = run(*words)
    assert status == 2
    assert "holds masks already" in err
    assert run(*words, "--overwrite")[0] == 0
    for given in ("frames", "masks"):
        status, _, err = run(*words[:3], clip / given, "--overwrite")
        assert status == 2
        assert "holds what was given" in err


MISTAKES = {
    "no source": ("{tmp}/no.mp4 {clip}/masks", "no such file"),
    "no mask": ("{clip}/frames {tmp}/no.png", "no such mask file"),
    "a mask of another size": ("{clip}/frames {tmp}/small.png", "10 x 20 pixels"),
    "an empty mask": ("{clip}/frames {tmp}/empty.png", "no object in it"),
    "a folder without masks": ("{clip}/frames {tmp}/nothing", "no PNG files"),
    "a mask of no frame": ("{clip}/frames {tmp}/stray", "belongs to no frame"),
    "a frame too late": ("{clip}/frames {clip}/masks/10.png --frame 6", "frames 0 to 5"),
    "an odd overlay": ("{clip}/frames {clip}/masks --overlay {tmp}/o.gif", "a name in .mp4"),
    "no frame ahead": ("{clip}/frames {clip}/masks --chunk 0", "--chunk is 0"),
    "no weights": ("{clip}/frames {clip}/masks --weights {tmp}/no", "no weights file"),
    "a frame for a folder": ("{clip}/frames {clip}/masks --frame 3", "leave the frame out"),
    "a frame for a prompt": ("{clip}/frames --prompt 0={clip}/masks/10.png --frame 3", "--frame"),
    "a prompt too late": ("{clip}/frames --prompt 6={clip}/masks/10.png", "frames 0 to 5"),
    "a range too late": ("{clip}/frames {clip}/masks --from 4 --to 6", "frames 0 to 5"),
    "a range after the end": ("{clip}/frames {clip}/masks --from 6", "frames from 6 are wanted"),
    "no speed": ("{clip}/frames {clip}/masks --overlay {tmp}/o.mp4 --fps 0", "at least 0.01"),
    "a range turned round": ("{clip}/frames {clip}/masks --from 4 --to 2", "frames 4 to 2"),
    "a network that changes": (
        "{clip}/frames {clip}/masks --session {tmp}/s --online-steps 2",
        "do not go together",
    ),
    "no thread": ("{clip}/frames {clip}/masks --threads 0", "--threads is 0"),
    "a split of no folder": ("{clip}/frames {clip}/masks --split valid", "--data"),
    "workers for one clip": ("{clip}/frames {clip}/masks --workers 2", "go with --data"),
    "speed of no overlay": ("{clip}/frames {clip}/masks --fps 5", "--overlay; name its file"),
    "a frame of many clips": ("--data {clip} --frame 0", "with --data, expected"),
    "a clip and a folder of many": ("{clip}/frames {clip}/masks --data {clip}", "--data"),
    "no such device": ("{clip}/frames {clip}/masks --device abacus", "unknown device"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_found_before_work(
    name: str, clip: Path, weights: Path, run: Run, tmp_path: Path
) -> None:
    write_id_map(tmp_path / "small.png", np.ones((10, 20), np.uint8))
    write_id_map(tmp_path / "empty.png", np.zeros(SIZE, np.uint8))
    write_id_map(tmp_path / "stray" / "00000.png", np.ones(SIZE, np.uint8))
    (tmp_path / "nothing").mkdir()
    line, said = MISTAKES[name]
    out = tmp_path / "out"
    words = line.format(tmp=tmp_path, clip=clip).split()
    status, _, err = run("propagate", "--weights", weights, "--out", out, *words)
    assert status == 2
    assert said in err
    assert not out.exists()


def test_masks_at_several_frames(clip: Path, weights: Path, run: Run, tmp_path: Path) -> None:
    """Given one by one or as a folder, they count alike; both ways between them by default."""
    keys = tmp_path / "keys"
    keys.mkdir()
    for name in ("11.png", "14.png"):
        shutil.copy(clip / "masks" / name, keys / name)
    words = ("--weights", weights, "--threads", 1)
    status, _, err = run("propagate", clip / "frames", keys, tmp_path / "folder", *words)
    model = load_model(weights, device="cpu")
    assert (status, choose_pace("auto", model.config, torch.device("cpu")).why in err) == (0, True)
    each = [f"--prompt={index}={clip}/masks/{index + 10}.png" for index in (1, 4)]
    out = ("--out", tmp_path / "each", "--quiet")
    status, _, err = run("propagate", clip / "frames", *each, *out, *words)
    assert (status, err) == (0, "")
    prompts = Prompts.from_files(keys, open_frames(clip / "frames"))
    for result in propagate(model, open_frames(clip / "frames"), prompts):
        for place in ("folder", "each"):
            found = read_id_map(tmp_path / place / f"{result.index + 10}.png")
            assert np.array_equal(found, result.id_map)


def test_directions_ranges_and_merges_are_passed_on(
    clip: Path, weights: Path, run: Run, tmp_path: Path
) -> None:
    words = ("--weights", weights, "--prompt", f"3={clip}/masks/13.png", "--threads", 1)
    settings = ("--direction", "backward", "--from", 1, "--to", 4, "--merge", "soft")
    status, said, _ = run("propagate", clip / "frames", *words, *settings, "--out", tmp_path / "o")
    assert status == 0
    assert said.startswith("2 objects through 4 frames")
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == [
        "11.png",
        "12.png",
        "13.png",
        "14.png",
    ]
    assert not read_id_map(tmp_path / "o" / "14.png").any()
    assert read_id_map(tmp_path / "o" / "13.png").any()


def test_a_mask_named_after_a_later_frame_belongs_to_it(
    clip: Path, weights: Path, run: Run, tmp_path: Path
) -> None:
    words = ("propagate", clip / "frames", clip / "masks" / "14.png", tmp_path / "out")
    status, _, err = run(*words, "--weights", weights)
    assert status == 0
    assert "14.png: taken for frame 4 (else --frame N)" in err
    given = read_id_map(clip / "masks" / "14.png")
    assert np.array_equal(read_id_map(tmp_path / "out" / "14.png"), given)


@pytest.mark.parametrize("name", ["12.tif", "12.jpg", "12.BMP"])
def test_masks_of_other_formats_are_not_left_out(
    clip: Path, weights: Path, run: Run, tmp_path: Path, name: str
) -> None:
    given = tmp_path / "given"
    given.mkdir()
    shutil.copy(clip / "masks" / "10.png", given)
    Image.open(clip / "masks" / "10.png").convert("L").save(given / "10.tif")  # beside its PNG
    Image.open(clip / "masks" / "10.png").convert("L").save(given / "preview.jpg")
    words = ("propagate", clip / "frames", given, tmp_path / "out", "--weights", weights)
    assert run(*words)[0] == 0
    Image.open(clip / "masks" / "12.png").convert("L").save(given / name)
    status, _, err = run(*words, "--overwrite")
    assert status == 2
    assert f"{name}: named after frame 2, but no PNG" in err


def test_earlier_masks_are_found_whatever_their_case(
    clip: Path, weights: Path, run: Run, tmp_path: Path
) -> None:
    out, mask = tmp_path / "out", clip / "masks" / "10.png"
    out.mkdir()
    shutil.copy(mask, out / "99.PNG")
    (out / "._99.png").write_bytes(b"of macOS")
    words = ("propagate", clip / "frames", mask, out, "--weights", weights)
    status, _, err = run(*words)
    assert status == 2
    assert "99.PNG" in err
    assert run(*words, "--overwrite", "--to", 1)[0] == 0
    assert sorted(path.name for path in out.iterdir()) == ["._99.png", "10.png", "11.png"]


def test_a_name_like_an_option_is_told_how_to_write(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "-clip.mp4").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["propagate", "-clip.mp4", "a.png", "out"])
    assert "the file is named ./-clip.mp4" in capsys.readouterr().err


def test_a_folder_holds_one_run(
    clip: Path, weights: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the union of several; and no picture that is no mask is ever replaced."""
    out, mask = tmp_path / "out", clip / "masks" / "10.png"
    words = ("propagate", clip / "frames", mask, out, "--weights", weights, "--overwrite")
    assert run(*words)[0] == 0
    (out / "notes.txt").write_text("mine")
    assert run(*words, "--from", 2, "--to", 3)[0] == 0
    assert sorted(path.name for path in out.iterdir()) == ["12.png", "13.png", "notes.txt"]
    # A run that fails leaves the earlier one's masks.
    with monkeypatch.context() as patch:
        end_after(patch, 5)
        assert run(*words, "--to", 5)[0] == 2
    assert sorted(path.name for path in out.iterdir()) == ["12.png", "13.png", "notes.txt"]
    Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(out / "photo.png")
    status, _, err = run(*words)
    assert status == 2
    assert "is no mask of an earlier run" in err


def test_a_session_is_corrected(clip: Path, weights: Path, run: Run, tmp_path: Path) -> None:
    """One mask more gives what a run with both gives; other weights are refused."""
    words = ("propagate", clip / "frames", "--weights", weights, "--overwrite")
    first, later = (f"{index}={clip}/masks/{10 + index}.png" for index in (0, 4))
    kept = ("--session", tmp_path / "session", "--out", tmp_path / "kept")
    assert run(*words, *kept, "--prompt", first)[0] == 0
    assert run(*words, *kept, "--prompt", later)[0] == 0
    both = ("--prompt", first, "--prompt", later)
    assert run(*words, *both, "--out", tmp_path / "at once")[0] == 0
    for path in (tmp_path / "at once").iterdir():
        assert np.array_equal(read_id_map(tmp_path / "kept" / path.name), read_id_map(path))
    shutil.rmtree(tmp_path / "kept")
    assert run(*words, *kept)[0] == 0  # with the masks of last time, as after a stop
    for path in (tmp_path / "at once").iterdir():
        assert np.array_equal(read_id_map(tmp_path / "kept" / path.name), read_id_map(path))
    status, _, err = run(*words, *kept, "--session", tmp_path / "new")
    assert (status, "expected at least one mask" in err) == (2, True)
    torch.manual_seed(1)
    config = replace(preset("hs2s-lite"), width=16, input_size=SIZE, keep_aspect=False)
    other = tmp_path / "other.safetensors"
    save_weights(build_model(config), other, {"name": "other"})
    status, _, err = run(*words, *kept, "--prompt", first, "--weights", other)
    assert (status, "other weights" in err) == (2, True)


def test_cuts_are_reported_and_stopped_at(
    clip: Path, weights: Path, run: Run, tmp_path: Path
) -> None:
    frames = tmp_path / "frames"
    shutil.copytree(clip / "frames", frames)
    for index in range(FRAMES):
        Image.new("RGB", SIZE[::-1], (20, 200, 30)).save(frames / f"{16 + index}.png")
    mask, words = clip / "masks" / "10.png", ("--weights", weights, "--cuts")
    for cuts, ids in (("report", (1,)), ("stop", ())):
        report = tmp_path / f"{cuts}.csv"
        status, said, err = run(
            "propagate", frames, mask, tmp_path / cuts, *words, cuts, "--report", report
        )
        assert status == 0, err
        assert "cuts: frames 6\n" in said
        signs = [sign.object for sign in read_signs(report) if sign.frame == 6]
        assert tuple(signs) == ids
    _, said, _ = run("propagate", clip / "frames", mask, tmp_path / "none", *words, "stop")
    assert "cuts: none\n" in said


@pytest.fixture
def split(clip: Path, tmp_path: Path) -> Path:
    """A YouTube-VOS folder whose split has two videos; object 2 enters later."""
    root = tmp_path / "data"
    for video in ("a", "b"):
        images = root / "valid" / "JPEGImages" / video
        images.mkdir(parents=True)
        for path in (clip / "frames").iterdir():
            Image.open(path).save(images / f"{path.stem}.jpg")
        for name in ("10.png", "12.png"):
            id_map = read_id_map(clip / "masks" / name)
            given = np.where(id_map == 2, 2, 0) if name == "12.png" else id_map
            write_id_map(root / "valid" / "Annotations" / video / name, given)
    return root


def test_a_zip_that_exists_is_not_replaced(split: Path, run: Run, tmp_path: Path) -> None:
    (tmp_path / "out.zip").write_text("kept")
    words = ("propagate", "--data", split, "--split", "valid", "--out", tmp_path / "out", "--zip")
    status, _, err = run(*words)
    assert (status, "out.zip: exists already; give another name" in err) == (2, True)
    assert not (tmp_path / "out").exists()


def test_a_whole_split(split: Path, weights: Path, run: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ("propagate", "--data", split, "--split", "valid", "--out", out, "--weights", weights)
    status, said, err = run(*words, "--zip")
    assert status == 0, err
    assert said.startswith("2 of 2 videos")
    names = [f"Annotations/{video}/{10 + i}.png" for video in "ab" for i in range(FRAMES)]
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert archive.namelist() == names
    for index in range(FRAMES):
        found = np.unique(read_id_map(out / "Annotations" / "a" / f"{10 + index}.png"))
        assert 2 not in found or index >= 2
    given = read_id_map(split / "valid" / "Annotations" / "a" / "12.png") == 2
    assert (read_id_map(out / "Annotations" / "a" / "12.png")[given] == 2).all()
    again = tmp_path / "again"
    status, said, err = run(*words[:5], "--out", again, *words[7:], "--workers", 2)
    assert (status, said.startswith("2 of 2 videos")) == (0, True), err
    for file in sorted(again.rglob("*.png")):
        assert file.read_bytes() == (out / file.relative_to(again)).read_bytes()
    status, _, err = run(*words)
    assert status == 2
    assert "holds masks already" in err


def test_masks_of_another_split_are_told(
    split: Path, weights: Path, run: Run, tmp_path: Path
) -> None:
    """Whoever evaluates the folder would take them for masks of the last run."""
    out = tmp_path / "out"
    words = ("propagate", "--data", split, "--split", "valid", "--out", out, "--weights", weights)
    assert "did not write" not in run(*words)[2]
    for kind in ("Annotations", "JPEGImages"):
        shutil.rmtree(split / "valid" / kind / "b")
    status, said, err = run(*words, "--overwrite")
    assert (status, said.startswith("1 of 1 video")) == (0, True), err
    assert "also has masks of 1 video that this run did not write: b" in err


@pytest.mark.parametrize("place", ["", "Annotations", "JPEGImages/a"])
def test_a_split_is_not_written_into(split: Path, weights: Path, run: Run, place: str) -> None:
    before = sorted(split.rglob("*"))
    out = split / "valid" / place
    words = ("propagate", "--data", split, "--out", out, "--weights", weights, "--overwrite")
    status, _, err = run(*words)
    assert (status, "holds what was given" in err) == (2, True)
    assert sorted(split.rglob("*")) == before


def test_a_broken_video_does_not_stop_a_split(
    split: Path, weights: Path, run: Run, tmp_path: Path
) -> None:
    write_id_map(split / "valid" / "Annotations" / "a" / "12.png", np.ones((5, 5), np.uint8) * 2)
    words = ("--data", split, "--split", "valid", "--out", tmp_path / "out", "--weights", weights)
    # As the worker of a video that is killed leaves them.
    torn = tmp_path / "out" / "Annotations" / ".a.999999.part"
    torn.mkdir(parents=True)
    status, said, err = run("propagate", *words)
    assert status == 1
    assert said.startswith("1 of 2 videos")
    assert "a: " in err
    assert [path.name for path in torn.parent.iterdir()] == ["b"]


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["propagate", "--help"])
    assert "--prompt 40=b.png" in capsys.readouterr().out
