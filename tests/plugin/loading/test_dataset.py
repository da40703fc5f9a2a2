"""VOS folders as FiftyOne datasets: exact labels, one encoding, resumed and isolated failures."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np
import pytest

from hs2s_core.data.folders import open_folder
from hs2s_core.data.videos import VosVideo
from hs2s_core.errors import InvalidDataset
from hs2s_core.media import encode, open_frames
from hs2s_fiftyone.jobs import writer
from hs2s_fiftyone.loading import dataset as dataset_module
from hs2s_fiftyone.loading.dataset import delete_unused_videos, load, load_steps
from hs2s_fiftyone.loading.plan import InvalidSettings, LoadSettings, plan_load
from hs2s_fiftyone.media import open_clip
from hs2s_fiftyone.operators import LoadVosDataset

from ...data.builders import davis, plain, rectangles, write_video, youtube_vos
from .. import forms
from ..helpers import frame_masks

DEMO = Path(__file__).parents[3] / "assets/demo"


@pytest.fixture(autouse=True)
def _leave_no_dataset() -> Iterator[None]:
    before = set(fo.list_datasets())
    yield
    for name in set(fo.list_datasets()) - before:
        fo.delete_dataset(name)


@pytest.fixture
def encoded(tmp_path: Path) -> Path:
    """A folder for the encoded videos that no other test shares."""
    return tmp_path / "encoded"


def files_of(root: Path) -> list[tuple[str, int]]:
    return sorted((str(file), file.stat().st_mtime_ns) for file in root.rglob("*"))


def id_map_of(sample: fo.Sample, number: int, field: str = "ground_truth") -> Any:
    """The labels of a frame drawn at the size of the source frames, None if not annotated."""
    label = sample.frames[number][field]
    if label is None:
        return None
    clip = open_clip(sample)
    drawn = np.zeros(clip.frames.size, np.uint8)
    for object_id, mask in frame_masks(label, clip.video_size).items():
        drawn[clip.to_frame(mask)] = object_id
    return drawn


class TestExactness:
    @pytest.mark.parametrize(
        ("make", "split"),
        [
            (lambda root: DEMO, None),
            (youtube_vos, "valid"),
            (davis, "val"),
            (lambda root: plain(root, size=(47, 63)), None),
            (lambda root: plain(root, size=(48, 63)), None),
        ],
        ids=["demo", "youtube-vos", "davis", "odd", "odd-width"],
    )
    def test_labels_give_back_the_id_maps(
        self, tmp_path: Path, encoded: Path, make: Callable[[Path], Path], split: str | None
    ) -> None:
        root = make(tmp_path / "data")
        dataset = load(root, "exact", split=split, video_dir=encoded)
        compared = 0
        for video in open_folder(root, split):
            sample = dataset.one(fo.ViewField("video_id") == video.name)
            for index in range(len(video.frames)):
                expected = video.read_id_map(index)
                found = id_map_of(sample, index + 1)
                if expected is None:
                    assert found is None
                else:
                    assert np.array_equal(found, expected), (video.name, index)
                    compared += 1
        assert compared == dataset.count("frames.ground_truth")
        assert compared > 2

    def test_chunks_do_not_change_the_result(
        self, tmp_path: Path, encoded: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(writer, "FLUSH_FRAMES", 2)
        root = plain(tmp_path / "data", frames=5)
        sample = load(root, "chunks", video_dir=encoded).first()
        video = open_folder(root).video("clip")
        assert len(sample.frames) == 5
        for index in range(5):
            assert np.array_equal(id_map_of(sample, index + 1), video.read_id_map(index))

    def test_nothing_is_lost_when_somebody_looks_in(
        self, tmp_path: Path, encoded: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """FiftyOne shares one object per sample; loading it resets what was not saved."""
        root = plain(tmp_path / "data", frames=5)
        read = VosVideo.read_id_map

        def look_in(video: VosVideo, index: int) -> Any:
            if index == 3:
                (sample,) = fo.load_dataset("watched")
                sample.reload()
            return read(video, index)

        monkeypatch.setattr(VosVideo, "read_id_map", look_in)
        sample = load(root, "watched", video_dir=encoded).first()
        names = [frame.frame_name for frame in sample.frames.values()]
        assert names == [str(8 + index) for index in range(5)]
        assert all(frame.ground_truth is not None for frame in sample.frames.values())

    def test_masks_are_crops_that_own_their_memory(self, tmp_path: Path, encoded: Path) -> None:
        dataset = load(plain(tmp_path / "data"), "crops", video_dir=encoded)
        for detection in dataset.first().frames[1].ground_truth.detections:
            assert detection.mask.shape == (8, 11)
            assert detection.mask.dtype == bool


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two videos; no test changes it."""
    return youtube_vos(tmp_path_factory.mktemp("fields"))


@pytest.fixture(scope="module")
def loaded(root: Path) -> Iterator[fo.Dataset]:
    """What it is as a dataset; no test changes it."""
    dataset = load(root, "fields", split="valid", video_dir=root.with_name("fields-encoded"))
    yield dataset
    dataset.delete()


class TestFields:
    def test_a_youtube_vos_video(self, loaded: fo.Dataset) -> None:
        assert loaded.media_type == "video"
        assert loaded.values("video_id") == ["aaa", "bbb"]
        assert loaded.values("num_frames") == [6, 3]
        assert loaded.values("num_objects") == [2, 1]
        assert loaded.values("categories") == [["person", "nilgai"], ["person"]]
        assert loaded.values("seen") == [False, True]
        assert loaded.count_sample_tags() == {"valid": 2}
        assert loaded.app_config.color_scheme.color_by == "instance"
        assert loaded.info["vos"]["seen_categories"] == ["person"]
        assert not loaded.persistent

    def test_frames_keep_source_and_name(self, root: Path, loaded: fo.Dataset) -> None:
        sample = loaded.first()
        source = root / "valid/JPEGImages/aaa"
        assert [frame.filepath for frame in sample.frames.values()] == [
            str(source / f"{5 * step:05d}.jpg") for step in range(1, 7)
        ]
        assert [sample.frames[number].frame_name for number in (1, 6)] == ["00005", "00030"]

    def test_unannotated_is_none_and_annotated_without_object_is_empty(
        self, loaded: fo.Dataset
    ) -> None:
        sparse, dense = loaded
        assert sparse.frames[2].ground_truth is None
        assert dense.frames[2].ground_truth == fo.Detections(detections=[])

    def test_an_object_is_one_instance(self, loaded: fo.Dataset) -> None:
        seen: dict[tuple[str, int], set[str]] = {}
        for sample in loaded:
            for frame in sample.frames.values():
                for found in frame.ground_truth.detections if frame.ground_truth else ():
                    seen.setdefault((sample.video_id, found.index), set()).add(found.instance.id)
        assert seen.keys() == {("aaa", 2), ("aaa", 7), ("bbb", 1)}
        assert all(len(instances) == 1 for instances in seen.values())
        assert len(set.union(*seen.values())) == 3

    def test_without_meta_json_little_is_known(self, tmp_path: Path, encoded: Path) -> None:
        sample = load(plain(tmp_path / "data"), "plain", video_dir=encoded).first()
        assert (sample.categories, sample.seen, sample.num_objects, sample.tags) == (
            [],
            None,
            2,
            [],
        )
        assert {item.label for item in sample.frames[1].ground_truth.detections} == {"object"}

    def test_the_label_field_can_be_named(self, tmp_path: Path, encoded: Path) -> None:
        root = plain(tmp_path / "data")
        dataset = load(root, "named", label_field="frames.truth", video_dir=encoded)
        assert dataset.count("frames.truth.detections") == 8

    def test_videos_and_max_samples_choose(self, tmp_path: Path, encoded: Path) -> None:
        root = youtube_vos(tmp_path)
        chosen = {"videos": ["bbb"], "max_samples": 1}
        settings = {"split": "valid", "video_dir": encoded}
        assert load(root, "one", **chosen, **settings).values("video_id") == ["bbb"]
        assert plan_load(LoadSettings(root, "first", max_samples=1, **settings)).videos == ("aaa",)


class TestVideos:
    @pytest.mark.parametrize("size", [(48, 64), (47, 63)])
    def test_one_frame_per_image_at_even_size(self, tmp_path: Path, size: tuple[int, int]) -> None:
        root = plain(tmp_path / "data", size=size, frames=7)
        sample = load(root, "encoded", video_dir=tmp_path / "encoded").first()
        assert sample.filepath == str(tmp_path / "encoded/clip.mp4")
        video = open_frames(sample.filepath)
        images = open_frames(root / "JPEGImages/clip")
        assert video.size == (48, 64)
        assert (sample.metadata.frame_height, sample.metadata.frame_width) == (48, 64)
        for shown, source in zip(video, images, strict=True):
            shown = shown[: size[0], : size[1]]
            assert np.abs(shown.astype(int) - source).mean() < 8
        assert sample.metadata.total_frame_count == len(list(video)) == 7
        assert sample.metadata.frame_rate == video.fps == 24

    def test_metadata_is_what_fiftyone_measures(self, tmp_path: Path) -> None:
        dataset = load(plain(tmp_path / "data"), "meta", video_dir=tmp_path / "encoded", fps=6)
        ours = dataset.first().metadata.to_dict()
        dataset.compute_metadata(overwrite=True)
        measured = dataset.first().metadata.to_dict()
        assert ours.pop("duration") == pytest.approx(measured.pop("duration"), abs=1e-5)
        assert ours == measured

    def test_the_source_folder_stays_as_it_is(self, tmp_path: Path) -> None:
        root = youtube_vos(tmp_path / "data")
        before = files_of(root)
        dataset = load(root, "untouched", split="valid")
        assert files_of(root) == before
        home = Path(fo.config.default_dataset_dir) / "untouched"
        assert all(Path(path).is_relative_to(home) for path in dataset.values("filepath"))

    def test_a_second_source_of_the_same_name_gets_its_own_videos(self, tmp_path: Path) -> None:
        first, second = plain(tmp_path / "a"), plain(tmp_path / "b")
        paths = load(first, "same").values("filepath")
        fo.delete_dataset("same")
        assert load(second, "same").values("filepath") != paths


class TestResume:
    @pytest.fixture
    def no_encoding(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
        def forbid() -> None:
            def refuse(*args: Any) -> None:
                raise AssertionError("encoded again")

            monkeypatch.setattr(dataset_module, "VideoWriter", refuse)

        return forbid

    def test_a_second_run_does_nothing(
        self, tmp_path: Path, encoded: Path, no_encoding: Callable[[], None]
    ) -> None:
        root = youtube_vos(tmp_path / "data")
        ids = load(root, "twice", split="valid", video_dir=encoded).values("id")
        before = files_of(encoded)
        no_encoding()
        again = load(root, "twice", split="valid", video_dir=encoded)
        assert again.values("id") == ids
        assert files_of(encoded) == before

    def test_more_videos_join_a_smaller_load(self, tmp_path: Path, encoded: Path) -> None:
        root = youtube_vos(tmp_path / "data")
        settings = {"split": "valid", "video_dir": encoded}
        first = load(root, "more", max_samples=1, **settings).values("id")
        dataset = load(root, "more", persistent=True, **settings)
        assert dataset.values("video_id") == ["aaa", "bbb"]
        assert dataset.values("id")[:1] == first
        assert dataset.persistent

    def test_what_a_killed_run_left_is_completed(
        self, tmp_path: Path, encoded: Path, no_encoding: Callable[[], None]
    ) -> None:
        root = youtube_vos(tmp_path / "data")
        settings = {"split": "valid", "video_dir": encoded}
        dataset = load(root, "killed", **settings)
        dataset._frame_collection.delete_many({"frame_number": {"$gt": 4}})
        no_encoding()
        dataset = load(root, "killed", **settings)
        assert sorted(dataset.values("video_id")) == ["aaa", "bbb"]
        assert sorted(dataset.values(fo.ViewField("frames").length())) == [3, 6]
        sample = dataset.one(fo.ViewField("video_id") == "aaa")
        assert np.array_equal(id_map_of(sample, 3), rectangles([2, 7], 2))

    def test_changed_frames_are_encoded_again(self, tmp_path: Path, encoded: Path) -> None:
        root = plain(tmp_path / "data")
        load(root, "changed", video_dir=encoded)
        fo.delete_dataset("changed")
        old = (encoded / "clip.mp4").stat().st_mtime_ns
        os.utime(root / "JPEGImages/clip/9.jpg", ns=(old + 10**9, old + 10**9))
        load(root, "changed", video_dir=encoded)
        assert (encoded / "clip.mp4").stat().st_mtime_ns != old

    @pytest.mark.parametrize("strange", [b"somebody's video", None], ids=["file", "source"])
    def test_files_of_others_are_not_replaced(
        self, tmp_path: Path, encoded: Path, strange: bytes | None
    ) -> None:
        file = encoded / "clip.mp4"
        if strange is None:
            load(plain(tmp_path / "other"), "others", video_dir=encoded)
        else:
            encoded.mkdir()
            file.write_bytes(strange)
        before, content = files_of(encoded), file.read_bytes()
        with pytest.raises(InvalidDataset, match=r"clip\.mp4\) not made from .*data"):
            load(plain(tmp_path / "data"), "mine", video_dir=encoded)
        assert files_of(encoded) == before
        assert file.read_bytes() == content
        assert not fo.dataset_exists("mine")

    def test_stopping_between_two_videos_keeps_the_first(
        self, tmp_path: Path, encoded: Path
    ) -> None:
        root = youtube_vos(tmp_path / "data")
        steps = load_steps(
            plan_load(LoadSettings(root, "stopped", split="valid", video_dir=encoded))
        )
        next(step for step in steps if step.label == "2/2 bbb")
        steps.close()
        assert fo.load_dataset("stopped").values("video_id") == ["aaa"]

    def test_stopping_at_once_leaves_nothing(self, tmp_path: Path, encoded: Path) -> None:
        steps = load_steps(
            plan_load(LoadSettings(plain(tmp_path / "data"), "stopped", video_dir=encoded))
        )
        next(steps)
        steps.close()
        assert not fo.dataset_exists("stopped")


class TestFailures:
    def test_a_broken_video_is_reported_and_the_others_load(
        self, tmp_path: Path, encoded: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        root = youtube_vos(tmp_path / "data")
        frame = root / "valid/JPEGImages/aaa/00015.jpg"
        intact = frame.read_bytes()
        frame.write_bytes(intact[: len(intact) // 2])
        dataset = load(root, "broken", split="valid", video_dir=encoded)
        assert dataset.values("video_id") == ["bbb"]
        assert "00015.jpg: not readable" in dataset.info["vos"]["failed"]["aaa"]
        assert "video 'aaa' was not loaded" in caplog.text
        assert [file.name for file in encoded.iterdir()] == ["bbb.mp4"]

        frame.write_bytes(intact)
        dataset = load(root, "broken", split="valid", video_dir=encoded)
        assert dataset.values("video_id") == ["bbb", "aaa"]
        assert dataset.info["vos"]["failed"] == {}

    def test_a_broken_mask_leaves_no_half_sample(self, tmp_path: Path, encoded: Path) -> None:
        root = youtube_vos(tmp_path / "data")
        (root / "valid/Annotations/aaa/00015.png").write_bytes(b"no png")
        dataset = load(root, "mask", split="valid", video_dir=encoded)
        assert dataset.values("video_id") == ["bbb"]
        assert dataset.count("frames") == 3
        assert "00015.png" in dataset.info["vos"]["failed"]["aaa"]

    def test_masks_of_another_resolution(self, tmp_path: Path, encoded: Path) -> None:
        root = youtube_vos(tmp_path / "data")
        annotations = root / "valid/Annotations/aaa"
        write_video(
            tmp_path / "x", annotations, ["00005"], {"00005": rectangles([1], size=(90, 120))}
        )
        dataset = load(root, "sizes", split="valid", video_dir=encoded)
        reason = dataset.info["vos"]["failed"]["aaa"]
        assert "the id map is 120x90 pixels, its frame 64x48" in reason

    def test_nothing_loaded_is_an_error_and_no_dataset(self, tmp_path: Path, encoded: Path) -> None:
        root = plain(tmp_path / "data")
        (root / "JPEGImages/clip/8.jpg").write_bytes(b"no jpg")
        with pytest.raises(InvalidDataset, match=r"not one video could be loaded[^$]*8\.jpg"):
            load(root, "nothing", video_dir=encoded)
        assert not fo.dataset_exists("nothing")


class TestSettings:
    def refusal(self, root: Path, *args: Any, **settings: Any) -> dict[str, str]:
        with pytest.raises(InvalidSettings) as caught:
            load(root, *args, **settings)
        return caught.value.errors

    def test_every_error_at_once_by_argument(self, tmp_path: Path) -> None:
        errors = self.refusal(
            plain(tmp_path), label_field="1 2", videos=["x"], max_samples=0, fps=-1
        )
        assert errors.keys() == {"label_field", "videos", "max_samples", "fps"}
        assert "no video 'x'" in errors["videos"]
        assert "clip" in errors["videos"]

    @pytest.mark.parametrize("name", ["filepath", "frame_name", "", "a.b"])
    def test_label_fields_that_are_taken_or_no_names(self, tmp_path: Path, name: str) -> None:
        assert "label_field" in self.refusal(plain(tmp_path), label_field=name)

    def test_a_folder_that_is_none(self, tmp_path: Path) -> None:
        assert "no JPEGImages" in self.refusal(tmp_path)["root"]
        assert "train, valid" in self.refusal(youtube_vos(tmp_path), split="test")["split"]

    def test_a_name_that_belongs_to_something_else(self, tmp_path: Path, encoded: Path) -> None:
        root = plain(tmp_path / "data")
        fo.Dataset("foreign")
        assert "was not loaded from a VOS folder" in self.refusal(root, "foreign")["name"]
        load(root, "mine", video_dir=encoded)
        other = plain(tmp_path / "other")
        assert "was loaded with root" in self.refusal(other, "mine")["name"]
        errors = self.refusal(root, "mine", label_field="other")
        assert "label_field 'ground_truth', not 'other'" in errors["name"]

    def test_without_ffmpeg(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        root = plain(tmp_path)
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setattr(encode, "_ffmpeg_wheel", lambda: None)
        errors = self.refusal(root)
        assert "ffmpeg was not found" in errors["ffmpeg"]
        assert "install ffmpeg" in errors["ffmpeg"]

    @pytest.mark.parametrize(
        ("make", "split", "name"),
        [
            (plain, None, "data"),
            (davis, "val", "data-val"),
            (davis, "2017/val", "data-2017-val"),
            (youtube_vos, "valid", "data-valid"),
        ],
    )
    def test_the_default_name(
        self, tmp_path: Path, make: Callable[[Path], Path], split: str | None, name: str
    ) -> None:
        assert plan_load(LoadSettings(make(tmp_path / "data"), split=split)).name == name


class TestOperator:
    def form(self, **params: Any) -> forms.Properties:
        return forms.form(LoadVosDataset, None, **params)

    def test_an_untouched_form_asks_for_the_folder(self) -> None:
        form = self.form()
        assert list(form) == ["help", "root"]
        assert form["root"].required

    def test_a_good_folder_says_what_will_happen(self, tmp_path: Path) -> None:
        form = self.form(root=str(davis(tmp_path / "data")), split="val")
        assert forms.wrong(form) == {}
        assert form["plan"].view.label == "DAVIS layout: 1 video into 'data-val'"
        # Scripts that execute the operator may leave out all else: FiftyOne fills in no defaults.
        assert [name for name, shown in form.items() if shown.required] == ["root"]

    def test_errors_stand_at_their_fields(self, tmp_path: Path) -> None:
        assert "no such folder" in forms.wrong(self.form(root=str(tmp_path / "x")))["root"]
        root = str(youtube_vos(tmp_path / "data"))
        assert "say which one" in forms.wrong(self.form(root=root))["split"]
        form = self.form(root=root, split="valid", label_field="1", max_samples=0, fps=0)
        assert forms.wrong(form).keys() == {"label_field", "max_samples", "fps"}

    def test_without_ffmpeg_it_cannot_be_sent(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root = str(plain(tmp_path))
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setattr(encode, "_ffmpeg_wheel", lambda: None)
        assert "install ffmpeg" in forms.wrong(self.form(root=root))["ffmpeg"]

    def test_the_app_sees_progress_and_the_dataset(self, tmp_path: Path) -> None:
        root = youtube_vos(tmp_path / "data")
        (root / "valid/JPEGImages/aaa/00015.jpg").write_bytes(b"no jpg")
        context = forms.context(None, root=str(root), split="valid", name="app")
        messages = [message.body for message in LoadVosDataset().execute(context)]
        names = [message.operator_uri.split("/")[-1] for message in messages]
        ends = ["set_progress", "notify", "open_dataset", "show_output"]
        assert [name for name in names if name != "set_progress"] == ends[1:]
        assert names[-4:] == ends
        assert messages[-2].params == {"dataset": "app"}
        results = messages[-1].params["results"]
        assert (results["done"], results["skipped"], results["failed"]) == (1, 0, 1)
        assert "00015.jpg" in results["reasons"]
        assert fo.load_dataset("app").persistent

    def test_an_error_is_shown_not_raised(self, tmp_path: Path) -> None:
        messages = list(LoadVosDataset().execute(forms.context(None, root=str(tmp_path))))
        assert [message.body.params["variant"] for message in messages] == ["error"]

    def test_no_error_freezes_the_dialog(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object, **__: object) -> fo.Dataset:
            raise OSError("No space left on device")

        monkeypatch.setattr(fo, "Dataset", full)
        context = forms.context(None, root=str(plain(tmp_path / "data")), name="full")
        last = list(LoadVosDataset().execute(context))[-1].body
        assert last.params["variant"] == "error"
        assert "No space left on device" in last.params["message"]

    def test_a_delegated_run_returns_its_summary(self, tmp_path: Path) -> None:
        context = forms.context(None, root=str(plain(tmp_path / "data")), name="delegated")
        context.request_params["delegated"] = True
        steps: list[float] = []
        context._set_progress = lambda _, progress: steps.append(progress.progress)
        result = LoadVosDataset().execute(context)
        assert (result["target"], result["done"], result["failed"]) == ("delegated", 1, 0)
        assert (steps[0], steps[-1]) == (0.0, 1.0)

    def test_from_a_script(self, tmp_path: Path, encoded: Path) -> None:
        dataset = LoadVosDataset()(plain(tmp_path / "data"), "script", video_dir=encoded)
        assert dataset.values("video_id") == ["clip"]


def test_videos_that_no_dataset_has_are_deleted(tmp_path: Path) -> None:
    """Of those that a load made where nobody else has files, and no others."""
    kept = load(plain(tmp_path / "kept"), "kept")
    gone = load(plain(tmp_path / "gone"), "gone")
    given = load(plain(tmp_path / "given"), "given", video_dir=tmp_path / "encoded")
    files = {data.name: Path(data.first().filepath) for data in (kept, gone, given)}
    folder = files["gone"].parent
    (folder / "mine.mp4").write_bytes(b"of which nobody knows")
    (folder / "linked.mp4").symlink_to(files["given"])
    all_gone = sorted(map(Path, gone.values("filepath")))
    copy = gone.clone("copy")
    gone.delete()
    given.delete()
    assert not set(all_gone) & set(delete_unused_videos(dry_run=True)), "a clone has them"
    copy.delete()
    unused = delete_unused_videos(dry_run=True)
    assert set(all_gone) <= set(unused)
    assert all(path.exists() for path in unused)
    assert delete_unused_videos() == unused
    assert not any(path.exists() for path in unused)
    assert sorted(path.name for path in folder.iterdir()) == ["linked.mp4", "mine.mp4"]
    assert files["kept"].exists()
    assert files["given"].exists()
    (folder / "mine.mp4").unlink()
    (folder / "linked.mp4").unlink()
