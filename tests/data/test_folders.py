"""The layouts of YouTube-VOS and DAVIS, and names that try to escape."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hs2s_core.data.folders import list_splits, open_folder, training_split
from hs2s_core.errors import InvalidDataset

from .builders import SIZE, davis, plain, rectangles, write_meta, write_video, youtube_vos


class TestYouTubeVos:
    def test_reads_a_split_of_the_root(self, tmp_path: Path) -> None:
        folder = open_folder(youtube_vos(tmp_path), "valid")
        assert (folder.layout, folder.split, folder.fps) == ("youtube-vos", "valid", 6.0)
        assert folder.names == ("aaa", "bbb")
        assert [video.name for video in folder] == ["aaa", "bbb"]

    def test_the_split_folder_itself_is_the_same(self, tmp_path: Path) -> None:
        youtube_vos(tmp_path)
        assert open_folder(tmp_path / "valid") == open_folder(tmp_path, "valid")

    def test_frames_annotations_and_objects(self, tmp_path: Path) -> None:
        video = open_folder(youtube_vos(tmp_path), "valid").video("aaa")
        assert video.frame_names == ("00005", "00010", "00015", "00020", "00025", "00030")
        assert video.annotated == (0, 2)
        assert video.read_id_map(1) is None
        assert np.array_equal(video.read_id_map(2), rectangles([2, 7], 2))
        person, nilgai = video.objects[2], video.objects[7]
        assert (person.category, nilgai.category) == ("person", "nilgai")
        assert (person.seen, nilgai.seen) == (True, False)

    def test_prompts_wait_for_the_first_pixel_not_for_meta(self, tmp_path: Path) -> None:
        # meta.json lists object 7 from the first frame on, where it has no pixel.
        video = open_folder(youtube_vos(tmp_path), "valid").video("aaa")
        prompts = video.first_masks()
        assert {index: sorted(masks) for index, masks in prompts.items()} == {0: [2], 2: [7]}
        assert np.array_equal(prompts[2][7], rectangles([2, 7], 2) == 7)

    def test_seen_is_unknown_without_the_training_split(self, tmp_path: Path) -> None:
        youtube_vos(tmp_path)
        (tmp_path / "train/meta.json").unlink()
        folder = open_folder(tmp_path, "valid")
        assert folder.seen_categories is None
        assert folder.video("aaa").objects[2].seen is None

    def test_all_frames_borrow_the_labels(self, tmp_path: Path) -> None:
        youtube_vos(tmp_path)
        names = [f"{index:05d}" for index in range(5, 31)]
        write_video(tmp_path / "valid_all_frames/JPEGImages/aaa", None, names, {})
        folder = open_folder(tmp_path, "valid_all_frames")
        video = folder.video("aaa")
        assert folder.fps == 30.0
        assert len(video.frames) == 26
        assert [video.frame_names[index] for index in video.annotated] == ["00005", "00015"]
        assert video.objects[7].seen is False

    def test_the_only_split_needs_no_name(self, tmp_path: Path) -> None:
        youtube_vos(tmp_path / "both")
        (tmp_path / "both/valid").rename(tmp_path / "valid")
        assert open_folder(tmp_path).names == ("aaa", "bbb")

    def test_several_splits_are_listed_in_the_error(self, tmp_path: Path) -> None:
        youtube_vos(tmp_path)
        assert list_splits(tmp_path) == ["train", "valid"]
        with pytest.raises(InvalidDataset, match=r"train, valid.*split"):
            open_folder(tmp_path)
        with pytest.raises(InvalidDataset, match=r"no split 'test'.*train, valid"):
            open_folder(tmp_path, "test")


class TestDavis:
    def test_every_video_without_a_split(self, tmp_path: Path) -> None:
        folder = open_folder(davis(tmp_path))
        assert (folder.layout, folder.names, folder.fps) == ("davis", ("bear", "dogs"), 24.0)

    @pytest.mark.parametrize(
        ("split", "names"),
        [
            ("val", ("dogs",)),
            ("2017/train", ("bear",)),
            ("2016/val", ("bear",)),
            ("480p/val", ("bear",)),
        ],
    )
    def test_splits_come_from_image_sets(
        self, tmp_path: Path, split: str, names: tuple[str, ...]
    ) -> None:
        assert open_folder(davis(tmp_path), split).names == names

    def test_an_unknown_split_lists_the_others(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidDataset, match=r"no list 'test'.*2016/val.*2017/train"):
            open_folder(davis(tmp_path), "test")

    def test_black_and_white_masks_are_one_object(self, tmp_path: Path) -> None:
        davis(tmp_path)
        mask = rectangles([1])
        path = tmp_path / "Annotations/480p/bear/00000.png"
        Image.fromarray(mask * 255).save(path)
        assert np.array_equal(open_folder(tmp_path).video("bear").read_id_map(0), mask)


class TestPlain:
    def test_frames_come_in_natural_order(self, tmp_path: Path) -> None:
        folder = open_folder(plain(tmp_path))
        assert (folder.layout, folder.names) == ("plain", ("clip",))
        video = folder.video("clip")
        assert video.frame_names == ("8", "9", "10", "11")
        assert video.annotated == (0, 1, 2, 3)
        assert not video.objects

    def test_labels_are_not_needed(self, tmp_path: Path) -> None:
        write_video(tmp_path / "JPEGImages/clip", None, ["1", "2"], {})
        video = open_folder(tmp_path).video("clip")
        assert (len(video.frames), video.annotated, video.first_masks()) == (2, (), {})

    def test_files_of_the_system_are_no_videos(self, tmp_path: Path) -> None:
        plain(tmp_path)
        (tmp_path / "JPEGImages/__MACOSX").mkdir()
        (tmp_path / "JPEGImages/.git").mkdir()
        (tmp_path / "JPEGImages/clip/._8.jpg").write_bytes(b"resource fork")
        (tmp_path / "Annotations/clip/.DS_Store").write_bytes(b"x")
        folder = open_folder(tmp_path)
        assert folder.names == ("clip",)
        assert len(folder.video("clip").frames) == 4


class TestErrors:
    def test_one_broken_video_leaves_the_others(self, tmp_path: Path) -> None:
        youtube_vos(tmp_path)
        for file in (tmp_path / "valid/JPEGImages/aaa").iterdir():
            file.unlink()
        folder = open_folder(tmp_path, "valid")
        with pytest.raises(InvalidDataset, match=r"video 'aaa'.*no image files"):
            folder.video("aaa")
        assert folder.video("bbb").annotated == (0, 1, 2)

    def test_annotations_without_frames_are_not_dropped_silently(self, tmp_path: Path) -> None:
        plain(tmp_path)
        (tmp_path / "JPEGImages/clip/10.jpg").unlink()
        with pytest.raises(InvalidDataset, match=r"1 annotation without a frame.*10"):
            open_folder(tmp_path).video("clip")

    def test_a_picture_and_its_mask_in_one_folder(self, tmp_path: Path) -> None:
        plain(tmp_path)
        (tmp_path / "Annotations/clip/10.png").rename(tmp_path / "JPEGImages/clip/10.png")
        with pytest.raises(InvalidDataset, match=r"10\.(jpg|png).*both claim frame '10'"):
            open_folder(tmp_path).video("clip")

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda root: root / "nowhere", "no such folder"),
            (lambda root: plain(root / "deeper").parent, "one folder deeper"),
            (lambda root: plain(root) / "JPEGImages", "give the folder that holds JPEGImages"),
            (lambda root: root, "no JPEGImages folder.*expected YouTube-VOS"),
        ],
    )
    def test_a_wrong_root_says_which_is_right(self, tmp_path: Path, make, message: str) -> None:
        with pytest.raises(InvalidDataset, match=message):
            open_folder(make(tmp_path))

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("{", "cannot be read as JSON"),
            ("[]", 'no "videos"'),
            ('{"videos": []}', 'no "videos"'),
        ],
    )
    def test_a_broken_meta_json(self, tmp_path: Path, content: str, message: str) -> None:
        youtube_vos(tmp_path)
        (tmp_path / "valid/meta.json").write_text(content)
        with pytest.raises(InvalidDataset, match=message):
            open_folder(tmp_path, "valid")

    @pytest.mark.parametrize("key", ["0", "-1", "one", "1.5", ""])
    def test_object_ids_must_be_positive_integers(self, tmp_path: Path, key: str) -> None:
        youtube_vos(tmp_path)
        content = {"videos": {"aaa": {"objects": {key: {"category": "person"}}}}}
        (tmp_path / "valid/meta.json").write_text(json.dumps(content))
        folder = open_folder(tmp_path, "valid")
        with pytest.raises(InvalidDataset, match=f"object id '{key}'"):
            folder.video("aaa")


class TestPathsStayInside:
    ESCAPES = ("../../secret", "/etc", "..", ".", "", "a/../../b", "a\\..\\b", "nul\0byte")

    @pytest.mark.parametrize("name", ESCAPES)
    def test_a_video_name_is_one_component(self, tmp_path: Path, name: str) -> None:
        folder = open_folder(youtube_vos(tmp_path), "valid")
        with pytest.raises(InvalidDataset, match="not a plain folder name"):
            folder.video(name)

    @pytest.mark.parametrize("line", ["../../secret", "..", "JPEGImages/480p/../00000.jpg"])
    def test_image_sets_cannot_point_elsewhere(self, tmp_path: Path, line: str) -> None:
        davis(tmp_path)
        (tmp_path / "ImageSets/2017/val.txt").write_text(line + "\n")
        with pytest.raises(InvalidDataset, match="not a plain folder name"):
            open_folder(tmp_path, "val")

    def test_names_of_meta_json_open_nothing(self, tmp_path: Path) -> None:
        root = youtube_vos(tmp_path / "data")
        write_video(tmp_path / "outside", None, ["1"], {})
        escape = "../../../../outside"
        write_meta(root / "valid/meta.json", {escape: {1: ("person", [f"{escape}/1"])}})
        folder = open_folder(root, "valid")
        assert folder.names == ("aaa", "bbb")
        with pytest.raises(InvalidDataset, match="not a plain folder name"):
            folder.video(escape)

    def test_a_split_is_not_a_path(self, tmp_path: Path) -> None:
        plain(tmp_path / "other")
        youtube_vos(tmp_path / "data")
        with pytest.raises(InvalidDataset, match="not a plain folder name"):
            open_folder(tmp_path / "data", "../other")


def test_sizes_of_the_builders() -> None:
    assert rectangles([1, 2, 3]).shape == SIZE


class TestTrainingSplit:
    def test_youtube_vos(self, tmp_path: Path) -> None:
        assert training_split(youtube_vos(tmp_path)) == "train"
        assert training_split(tmp_path / "train") is None

    def test_davis_2017_before_2016(self, tmp_path: Path) -> None:
        (davis(tmp_path) / "ImageSets/2016/train.txt").write_text("dogs\n")
        (tmp_path / "ImageSets/480p/train.txt").write_text("dogs\n")
        assert training_split(tmp_path) == "2017/train"
        assert open_folder(tmp_path, training_split(tmp_path)).names == ("bear",)
        (tmp_path / "ImageSets/2017/train.txt").unlink()
        assert training_split(tmp_path) == "2016/train"

    def test_plain_has_none_whatever_lists_it_has(self, tmp_path: Path) -> None:
        (plain(tmp_path) / "ImageSets/Segmentation").mkdir(parents=True)
        (tmp_path / "ImageSets/Segmentation/val.txt").write_text("clip\n")
        assert training_split(tmp_path) is None

    def test_splits_without_one_to_train_on(self, tmp_path: Path) -> None:
        (davis(tmp_path) / "ImageSets/2017/train.txt").unlink()
        with pytest.raises(InvalidDataset, match=r"found 2016/val, 2017/val, 480p/val.*--split"):
            training_split(tmp_path)
