"""Masks out to the servers' layouts, and back again, to the pixel."""

from __future__ import annotations

import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest
from fiftyone import ViewField as F
from PIL import Image

from hs2s_core.errors import HS2SError
from hs2s_core.evaluation import evaluate_folders
from hs2s_core.media.masks import davis_palette, read_id_map, write_id_map
from hs2s_fiftyone.evaluation import evaluate
from hs2s_fiftyone.export import export
from hs2s_fiftyone.jobs import FrameWriter, writer
from hs2s_fiftyone.predictions import read_predictions
from hs2s_fiftyone.propagation import propagate

from .helpers import CopyNetwork
from .made import IdMaps, add_video, moving, write_folder

START = {1: (4, 2), 7: (26, 10)}


@pytest.fixture
def maps(dataset: fo.Dataset) -> dict[str, IdMaps]:
    """Two videos; in the second, object 1 leaves and one frame has no prediction at all."""
    second = moving(5, START, shift=3)
    second[3][second[3] == 1] = 0
    made = {"first": moving(4, START), "second": second}
    add_video(dataset, "first", moving(4, START), made["first"])
    add_video(dataset, "second", moving(5, START), [*second[:4], None])
    made["second"][4] = np.zeros_like(second[0])
    return made


@pytest.mark.parametrize(("layout", "below"), [("youtube_vos", "Annotations/"), ("davis", "")])
def test_layouts_are_exact(
    dataset: fo.Dataset, maps: dict[str, IdMaps], tmp_path: Path, layout: str, below: str
) -> None:
    out = tmp_path / "out"
    summary = export(dataset, "frames.pred", out, layout=layout, zip=True, progress=False)
    assert (summary.done, summary.frames, summary.failed) == (["first", "second"], 9, [])
    names = [f"{video}/{index:05d}.png" for video in maps for index in range(len(maps[video]))]
    assert summary.zip_file == tmp_path / "out.zip"
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert archive.namelist() == [below + name for name in names]
        archive.extractall(tmp_path / "unpacked")
    for root in (out, tmp_path / "unpacked"):
        for video, wanted in maps.items():
            for index, id_map in enumerate(wanted):
                file = root / below / video / f"{index:05d}.png"
                assert np.array_equal(read_id_map(file), id_map)
                with Image.open(file) as image:
                    assert image.mode == "P"
                    assert image.getpalette()[:24] == davis_palette().ravel()[:24].tolist()
    assert not list(tmp_path.rglob(".*"))


def test_the_same_masks_make_the_same_zip(
    dataset: fo.Dataset, maps: dict[str, IdMaps], tmp_path: Path
) -> None:
    for name in ("one", "two"):
        export(dataset, "pred", tmp_path / name, zip=tmp_path / f"{name}.zip", progress=False)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_files_score_what_the_dataset_scores(
    dataset: fo.Dataset, maps: dict[str, IdMaps], tmp_path: Path
) -> None:
    for field in ("pred", "truth"):
        export(dataset, field, tmp_path / field, progress=False)
    files = evaluate_folders(tmp_path / "pred", tmp_path / "truth")
    results = evaluate(dataset, "pred", "truth", "scores", progress=False)
    assert results.summary.overall == files.summary().overall


def test_masks_come_back_with_identity(
    dataset: fo.Dataset, maps: dict[str, IdMaps], tmp_path: Path
) -> None:
    export(dataset, "pred", tmp_path / "out", progress=False)
    (tmp_path / "out" / "Annotations" / "another").mkdir()
    write_id_map(tmp_path / "out" / "Annotations" / "another" / "00000.png", maps["first"][0])
    instance = fo.Instance()
    sample = dataset.first()
    sample.frames[2].truth.detections[0].instance = instance
    for number in (1, 3, 4):
        sample.frames[number].truth.detections[0].instance = instance
    sample.save()
    summary = read_predictions(
        dataset, tmp_path / "out", "back", truth_field="truth", progress=False
    )
    assert (summary.done, summary.frames) == (["first", "second"], 9)
    assert (summary.unknown, summary.notes) == (["another"], [])
    first = [frame.back.detections for frame in dataset.first().frames.values()]
    assert [label.index for label in first[0]] == [1, 7]
    assert [label.label for label in first[0]] == ["class 1", "class 7"]
    assert {labels[0].instance.id for labels in first} == {instance.id}
    assert len({labels[1].instance.id for labels in first}) == 1
    export(dataset, "back", tmp_path / "again", progress=False)
    for file in sorted((tmp_path / "out" / "Annotations").glob("*/*.png")):
        if file.parent.name != "another":
            other = tmp_path / "again" / file.relative_to(tmp_path / "out")
            assert np.array_equal(read_id_map(file), read_id_map(other))
    with pytest.raises(HS2SError, match="holds labels already"):
        read_predictions(dataset, tmp_path / "out", "back", progress=False)
    for path in (tmp_path / "out/Annotations/second").iterdir():
        write_id_map(path, np.zeros_like(maps["second"][0]))
    read = read_predictions(dataset, tmp_path / "out", "back", overwrite=True, progress=False)
    assert dataset.first().frames[1].back.detections[0].label == "object"
    (note,) = read.notes
    assert (note.name, "masks are empty" in note.reason) == ("second", True)


def test_folders_are_found_as_macos_names_them(dataset: fo.Dataset, tmp_path: Path) -> None:
    add_video(dataset, "Größe", moving(4, START), moving(4, START))
    named = tmp_path / unicodedata.normalize("NFD", "Größe") / "00001.png"
    write_id_map(named, moving(4, START)[1])
    summary = read_predictions(dataset, tmp_path, "back", progress=False)
    assert (summary.done, summary.unknown) == (["Größe"], [])
    assert dataset.count("frames.back.detections") == 2


def test_source_names_and_sizes_are_kept(dataset: fo.Dataset, tmp_path: Path) -> None:
    """Names of YouTube-VOS count by five; odd frames have a padded video; every second is asked."""
    size = (47, 63)
    truth = moving(4, {1: (33, 45)}, size=size)
    source = write_folder(tmp_path / "source", {"clip": truth}, {"clip": truth})
    padded = [np.pad(entry, ((0, 1), (0, 1))) for entry in truth]
    sparse = [entry if index % 2 == 0 else None for index, entry in enumerate(padded)]
    sample = add_video(dataset, "some file", sparse, padded, video_id="003234408d")
    for index, frame in enumerate(sample.frames.values()):
        frame["filepath"] = str(source / "clip" / f"{index:05d}.png")
        frame["frame_name"] = f"{5 * index:05d}"
    sample.save()
    export(dataset, "pred", tmp_path / "out", annotated_in="truth", progress=False)
    files = sorted((tmp_path / "out" / "Annotations" / "003234408d").iterdir())
    assert [file.name for file in files] == ["00000.png", "00010.png"]
    assert np.array_equal(read_id_map(files[1]), truth[2])

    read_predictions(dataset, tmp_path / "out", "back", progress=False)
    frames = dataset.first().frames
    assert [number for number, frame in frames.items() if frame.back] == [1, 3]
    label, expected = frames[3].back.detections[0], frames[3].pred.detections[0]
    assert label.bounding_box == pytest.approx(expected.bounding_box)
    assert np.array_equal(label.mask, expected.mask)


def test_frames_without_a_document_are_written_empty(dataset: fo.Dataset, tmp_path: Path) -> None:
    maps = moving(3, START)
    sample = add_video(dataset, "clip", maps, maps)
    del sample.frames[2]
    sample.save()
    dataset.set_values("metadata.total_frame_count", [5])
    export(dataset, "pred", tmp_path / "out", layout="davis", progress=False)
    counts = [np.unique(read_id_map(f)).tolist() for f in sorted((tmp_path / "out/clip").iterdir())]
    assert counts == [[0, 1, 7], [0], [0, 1, 7], [0], [0]]


def test_masks_of_an_earlier_export_are_told(
    dataset: fo.Dataset, maps: dict[str, IdMaps], tmp_path: Path
) -> None:
    assert not export(dataset, "pred", tmp_path / "out", progress=False).others
    again = export(dataset.skip(1), "pred", tmp_path / "out", overwrite=True, progress=False)
    assert again.others == ["first"]
    assert "also in the folder, of earlier runs: first" in str(again)


def test_labels_after_the_end_are_told(dataset: fo.Dataset, tmp_path: Path) -> None:
    add_video(dataset, "first", moving(4, START), moving(4, START))
    sample = dataset.first()
    sample.frames[6] = fo.Frame(pred=sample.frames[4].pred.copy())
    sample.save()
    (note,) = export(dataset, "pred", tmp_path / "out", progress=False).notes
    assert "1 frame with labels lie after its end, as it has 4" in note.reason


def test_a_video_that_shows_no_mask_is_said_to_be_empty(
    dataset: fo.Dataset, maps: dict[str, IdMaps], tmp_path: Path
) -> None:
    box = fo.Detection(bounding_box=[0, 0, 0.5, 0.5], index=3)
    sample = dataset.last()
    sample.frames[1].truth.detections.append(box)
    sample.frames[2]["boxes"] = fo.Detections(detections=[box.copy()])
    sample.save()
    hidden = dataset.filter_labels("frames.pred", F("index") == 99, only_matches=False)

    def notes(view: fo.DatasetView, field: str) -> list[str]:
        out = tmp_path / str(len(list(tmp_path.iterdir())))
        return [str(note) for note in export(view, field, out, progress=False).notes]

    told = "its masks are empty: no label in 'pred' that the view shows has one"
    assert notes(hidden, "pred") == [f"{name}: {told}" for name in ("first", "second")]
    assert notes(dataset[1:], "truth") == [
        "second: left out: 1 label without a mask, only a box or a line"
    ]
    assert notes(dataset[1:], "boxes")[0].endswith("empty: no label in 'boxes' has one")
    assert notes(dataset[1:], "pred") == []


def test_nothing_of_the_users_is_deleted(
    dataset: fo.Dataset, maps: dict[str, IdMaps], tmp_path: Path
) -> None:
    export(dataset, "pred", tmp_path, layout="davis", progress=False)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(HS2SError, match="choose an empty folder, or overwrite"):
        export(dataset, "pred", tmp_path, layout="davis", progress=False)
    write_id_map(tmp_path / "first" / "00009.png", np.ones((8, 8), np.uint8))
    export(dataset, "pred", tmp_path, layout="davis", overwrite=True, progress=False)
    assert sorted(tmp_path.rglob("*")) == before
    others = [tmp_path / "first" / "thesis.tex", tmp_path / "second" / "photo.png"]
    others[0].touch()
    Image.new("RGB", (8, 8)).save(others[1])
    summary = export(dataset, "pred", tmp_path, layout="davis", overwrite=True, progress=False)
    assert summary.done == ["first"]
    assert "photo.png: is no mask of an earlier run" in summary.failed[0].reason
    assert sorted(tmp_path.rglob("*")) == sorted([*before, *others])


def test_one_bad_video_leaves_the_others(
    dataset: fo.Dataset, maps: dict[str, IdMaps], tmp_path: Path
) -> None:
    sample = dataset.first()
    sample.frames[2].pred.detections[0].bounding_box = []
    sample.save()
    summary = export(dataset, "pred", tmp_path / "out", zip=True, progress=False)
    assert summary.done == ["second"]
    assert "frame 2" in summary.failed[0].reason
    assert [entry.name for entry in (tmp_path / "out" / "Annotations").iterdir()] == ["second"]

    broken = tmp_path / "out" / "Annotations" / "second"
    write_id_map(broken / "00002.png", np.ones((8, 8), np.uint8))
    add_video(dataset, "third", maps["first"], maps["first"])
    write_id_map(tmp_path / "out" / "Annotations" / "third" / "00000.png", maps["first"][0])
    read = read_predictions(dataset, tmp_path / "out", "back", progress=False)
    assert read.done == ["third"]
    assert "8x8 pixels" in read.failed[0].reason
    second = dataset.match(fo.ViewField("filepath") == "/videos/second.mp4")
    assert not any(second.values("frames.back", unwind=True))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"field": "nowhere"}, "field: 'nowhere' is not a frame field"),
        ({"layout": "mine"}, "layout: 'mine' is none of"),
        ({"annotated_in": "nowhere"}, "there is no frame field 'nowhere'"),
    ],
)
def test_wrong_settings_are_refused(
    dataset: fo.Dataset,
    maps: dict[str, IdMaps],
    tmp_path: Path,
    change: dict[str, str],
    message: str,
) -> None:
    arguments = {"field": "pred", "out_dir": tmp_path / "out", **change}
    with pytest.raises(HS2SError, match=message):
        export(dataset, **arguments, progress=False)
    assert not (tmp_path / "out").exists()


def test_names_cannot_leave_the_folder(dataset: fo.Dataset, tmp_path: Path) -> None:
    maps = moving(2, START)
    add_video(dataset, "clip", maps, maps, video_id="../escaped")
    named = add_video(dataset, "other", maps, maps, video_id="inside")
    named.frames[2]["frame_name"] = "../../escaped"
    named.save()
    summary = export(dataset, "pred", tmp_path / "out", progress=False)
    assert [problem.name for problem in summary.failed] == ["../escaped", "inside"]
    assert all("plain folder name" in problem.reason for problem in summary.failed)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def shown(dataset: fo.Dataset, field: str) -> list[list[dict[int, bytes]]]:
    """Masks of a field by index, frame by frame, video by video."""
    return [
        [
            {label.index: label.mask.tobytes() for label in (frame[field] or EMPTY).detections}
            for frame in sample.frames.values()
        ]
        for sample in dataset
    ]


EMPTY = fo.Detections()


@pytest.mark.parametrize("name", ["00002.png", "00099.png", "2.png"])
def test_a_file_that_cannot_be_read_leaves_what_was_there(
    dataset: fo.Dataset, maps: dict[str, IdMaps], tmp_path: Path, name: str
) -> None:
    """Broken, beyond the end, or the second of its number."""
    export(dataset, "truth", tmp_path, progress=False)
    before = shown(dataset, "pred")
    file = tmp_path / "Annotations" / "second" / name
    if name == "00002.png":
        file.write_bytes(b"no png")
    else:
        write_id_map(file, maps["second"][0])
    read = read_predictions(dataset, tmp_path, "pred", overwrite=True, progress=False)
    assert read.done == ["first"]
    assert read.frames == 4
    (problem,) = read.failed
    assert name in problem.reason
    if name == "00099.png":
        assert "has only 5 frames; expected numbers from 00000 to 00004" in problem.reason
    first, second = shown(dataset, "pred")
    assert first == shown(dataset, "truth")[0]
    assert second == before[1]
    assert dataset.values(fo.ViewField("frames").length()) == [4, 5]


def test_a_write_that_fails_leaves_what_was_there(
    dataset: fo.Dataset, maps: dict[str, IdMaps], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(dataset, "truth", tmp_path, progress=False)
    before = shown(dataset, "pred")
    flush, calls = FrameWriter._flush, []

    def fail_late(self: FrameWriter) -> None:
        flush(self)
        calls.append(self)
        if len(calls) == 2:
            raise OSError("disk full, says the test")

    monkeypatch.setattr(writer, "FLUSH_FRAMES", 2)
    monkeypatch.setattr(FrameWriter, "_flush", fail_late)
    read = read_predictions(dataset[:1], tmp_path, "pred", overwrite=True, progress=False)
    assert [str(problem) for problem in read.failed] == ["first: OSError: disk full, says the test"]
    assert shown(dataset, "pred") == before
    assert all(sample.frames[1].pred.detections[0].label == "class 1" for sample in dataset)


def test_the_length_is_found_without_metadata(
    dataset: fo.Dataset, make_video: Callable[..., str], tmp_path: Path
) -> None:
    sample = fo.Sample(filepath=make_video("clip.mp4", frames=4))
    dataset.add_sample(sample)
    maps = moving(5, START, size=(64, 96))
    write_folder(tmp_path / "masks", {"clip": maps}, {"clip": maps})
    read = read_predictions(dataset, tmp_path / "masks", "back", progress=False)
    assert "00004.png: the video has only 4 frames" in read.failed[0].reason
    assert len(dataset.first().frames) == 0
    (tmp_path / "masks/clip/00004.png").unlink()
    assert read_predictions(dataset, tmp_path / "masks", "back", progress=False).frames == 4


@pytest.mark.parametrize("overwrite", [False, True])
def test_the_ground_truth_is_never_overwritten(
    dataset: fo.Dataset, maps: dict[str, IdMaps], tmp_path: Path, overwrite: bool
) -> None:
    export(dataset, "pred", tmp_path, progress=False)
    dataset.info["vos"] = {"label_field": "truth"}
    dataset.save()
    before = shown(dataset, "truth")
    with pytest.raises(HS2SError, match="'truth' holds the dataset's ground truth"):
        read_predictions(dataset, tmp_path, "truth", overwrite=overwrite, progress=False)
    assert shown(dataset, "truth") == before
    dataset.clear_frame_field("truth")
    with pytest.raises(HS2SError, match="ground truth"):
        propagate(dataset, "pred", "truth", model=CopyNetwork(), progress=False)


def test_reading_needs_a_folder_of_this_dataset(
    dataset: fo.Dataset, maps: dict[str, IdMaps], tmp_path: Path
) -> None:
    write_id_map(tmp_path / "stranger" / "00000.png", maps["first"][0])
    before = dataset.get_frame_field_schema().keys()
    with pytest.raises(HS2SError, match="none of its 1 video"):
        read_predictions(dataset, tmp_path, "back", progress=False)
    with pytest.raises(HS2SError, match="another field than the truth"):
        read_predictions(dataset, tmp_path, "truth", truth_field="truth", progress=False)
    with pytest.raises(HS2SError, match="holds labels already"):
        read_predictions(dataset, tmp_path, "truth", progress=False)
    assert dataset.get_frame_field_schema().keys() == before
