"""The panel without a browser: what its events send to the App, on a real dataset."""

from __future__ import annotations

from collections.abc import Iterator

import fiftyone as fo
import pytest

from hs2s_core.evaluation import EvaluationTable
from hs2s_fiftyone.panels import review_clips
from hs2s_fiftyone.panels.review_clips import CLIP_FRAMES, Opening
from hs2s_fiftyone.panels.review_memory import memory_of
from hs2s_fiftyone.panels.review_source import list_runs, load_run

from ...evaluation.tables import make_table, make_track, random_table
from .opened_panel import OpenedPanel
from .review_tables import save_run

FRAMES = {"short": 10, "middle": 35, "long": 90}


@pytest.fixture
def table() -> EvaluationTable:
    """The longer, the worse; "middle" has two objects."""
    return make_table(
        [
            make_track("short", [0.9] * FRAMES["short"], category="dog", seen=True, area=60),
            make_track("middle", [0.9] * 20 + [0.5] * 15, category="dog", seen=True, area=600),
            make_track("middle", [0.7] * 35, object_id=2, category="yak", seen=False, area=60),
            make_track("long", [0.8] * 30 + [0.1] * 60, category="yak", seen=False, area=60),
        ]
    )


@pytest.fixture
def videos(dataset: fo.Dataset, table: EvaluationTable) -> fo.Dataset:
    """Three videos of 100 x 100 pixels, evaluated as "before"; the media are never opened."""
    dataset.add_samples(
        [
            fo.Sample(
                filepath=f"/videos/{name}.mp4",
                metadata=fo.VideoMetadata(
                    frame_width=100, frame_height=100, total_frame_count=count, frame_rate=10
                ),
            )
            for name, count in FRAMES.items()
        ]
    )
    save_run(dataset, "before", table)
    return dataset


def ids(dataset: fo.Dataset) -> dict[str, str]:
    return {name: dataset[f"/videos/{name}.mp4"].id for name in FRAMES}


def test_a_run_loads_as_its_table(videos: fo.Dataset, table: EvaluationTable) -> None:
    assert list_runs(videos) == ["before"]
    source = load_run(videos, "before")
    assert source.pixels == [10_000] * 3
    assert source.names == {id_: name for name, id_ in ids(videos).items()}
    assert [source.names[sample] for sample in source.samples] == list(FRAMES)
    assert (source.rows, source.protocol) == (table.rows, table.protocol)


def test_a_run_is_read_once(videos: fo.Dataset, table: EvaluationTable) -> None:
    assert load_run(videos, "before") is load_run(videos, "before")
    videos.delete_evaluation("before")
    save_run(videos, "before", random_table(["short"]))
    assert len(load_run(videos, "before").names) == 1


def test_it_opens_with_the_latest_run(videos: fo.Dataset) -> None:
    save_run(videos, "after", make_table([make_track("short", [1] * 10)]))
    opened = OpenedPanel(videos)
    assert opened.state["controls"]["run"] == "after"
    assert "after" in opened.text
    assert "before" in opened.text
    opened.choose(run="before")
    assert opened.heat[0]["y"] == ["long", "middle", "short"]
    scatter = opened.data["upper.scatter"][0]
    assert dict(zip(scatter["ids"], scatter["x"], strict=True)) == {
        id_: FRAMES[name] for name, id_ in ids(videos).items()
    }
    assert "Protocol youtube_vos" in opened.data["summary"]


def test_a_missing_overall_score_is_explained(videos: fo.Dataset) -> None:
    tracks = [make_track("short", [1] * 10, seen=True), make_track("middle", [0.5] * 10)]
    save_run(videos, "partly", make_table(tracks))
    opened = OpenedPanel(videos)
    assert "| **partly** | - |" in opened.data["summary"]
    assert "partly: it is not known of every object" in opened.data["summary"]
    opened.choose(seen="seen")
    assert "| **partly** | 100.0 |" in opened.data["summary"]
    assert "not known" not in opened.data["summary"]


def test_the_state_stays_small(videos: fo.Dataset) -> None:
    """It travels with every click; plots do not."""
    opened = OpenedPanel(videos)
    assert len(str(opened.state)) < 1_000


def test_the_app_may_merge_lists_and_copy_data(videos: fo.Dataset) -> None:
    """What FiftyOne 1.22 does with the state when a control changes."""
    opened = OpenedPanel(videos)
    opened.state |= {"heat": opened.heat, "summary": "old"}
    opened.state["controls"]["categories"] = ["dog", "yak"]
    opened.send("on_setting", path="controls.categories", value=["dog"])
    assert opened.state["heat"] is None
    assert opened.state["summary"] is None
    assert opened.heat[0]["y"] == ["middle", "short"]


def test_filters_and_order_redraw(videos: fo.Dataset) -> None:
    opened = OpenedPanel(videos)
    opened.choose(order="length")
    assert opened.heat[0]["y"] == ["long", "middle", "short"]
    opened.choose(seen="seen", order="worst")
    assert opened.heat[0]["y"] == ["middle", "short"]
    opened.choose(seen="all", categories=["yak"], length="21-40")
    assert opened.heat[0]["y"] == ["middle"]
    opened.choose(length="all", size="medium", categories=["dog"])
    assert opened.heat[0]["y"] == ["middle"]
    opened.choose(size="medium", categories=["yak"])
    assert "No object passes" in opened.text
    opened.send("clear_filters")  # to get out again
    assert opened.heat[0]["y"] == ["long", "middle", "short"]


def test_choices_without_any_object_are_not_offered(videos: fo.Dataset) -> None:
    """The panel's state outlives many evaluations."""
    opened = OpenedPanel(videos)
    opened.choose(size="large", length="161-320", categories=["unicorn"])
    assert opened.heat[0]["y"] == ["long", "middle", "short"]
    assert opened.state["controls"]["size"] == "all"
    assert "Large (from" not in opened.text
    assert "Clear filters" not in opened.text
    opened.choose(size="medium")
    assert "Clear filters" in opened.text


def test_only_the_current_view(videos: fo.Dataset) -> None:
    opened = OpenedPanel(videos)
    opened.filters = {"filepath": {"values": ["/videos/long.mp4"], "exclude": True}}
    opened.send("on_change_view")
    assert opened.heat[0]["y"] == ["long", "middle", "short"]
    opened.choose(only_view=True)
    assert opened.heat[0]["y"] == ["middle", "short"]
    opened.filters, opened.view = {}, videos.select(ids(videos)["long"]).to_clips([[[1, 20]]])
    opened.send("on_change_view")
    assert opened.heat[0]["y"] == ["long"]
    opened.data = {}
    opened.send("on_change_view")  # the App tells it again and again
    assert opened.data == {}


def test_the_way_back_is_to_the_readers_view(videos: fo.Dataset, clock: list[float]) -> None:
    opened = OpenedPanel(videos)
    assert "Back to my view" not in opened.text
    mine = videos.match_tags("good", bool=False).sort_by("filepath")
    opened.view = mine
    for column in (20, 30):  # a second click leads on, not back
        opened.send("on_cell", idx=[0, column], trace_idx=0)
        opened.view = opened.asked_view()
    opened.send("on_select", data=[{"id": ids(videos)["short"]}])
    assert "Back to my view" in opened.text
    opened.view = opened.asked_view()
    opened.send("back")
    assert opened.asked_view() == mine
    assert "Back to my view" not in opened.text
    opened.view = None
    opened.send("on_cell", idx=[0, 20], trace_idx=0)
    opened.view = opened.asked_view()
    opened.send("back")
    assert list(opened.asked) == ["clear_view"]


def test_a_dot_opens_its_video(videos: fo.Dataset) -> None:
    opened = OpenedPanel(videos)
    long = ids(videos)["long"]
    opened.send("on_dot", id=long)
    assert opened.asked == {"open_sample": {"id": long, "group_id": None}}
    opened.send("on_dot", id=None)  # the line of means
    assert opened.asked == {}


@pytest.fixture
def clock() -> Iterator[list[float]]:
    """The time in seconds, to be set, from which what was wanted expires."""
    now = [1000.0]
    memory_of("panel").opening = Opening(lambda: now[0])
    yield now
    memory_of("panel").opening = Opening()


def test_a_dot_leaves_a_view_without_its_video(videos: fo.Dataset, clock: list[float]) -> None:
    opened = OpenedPanel(videos)
    long, short = ids(videos)["long"], ids(videos)["short"]
    opened.view = videos.select(short)
    opened.send("on_dot", id=short)
    assert list(opened.asked) == ["open_sample"]
    opened.send("on_dot", id=long)
    assert list(opened.asked) == ["clear_view"]
    opened.view = videos.view()
    opened.send("on_change_view")
    assert opened.asked["open_sample"]["id"] == long
    opened.sample = long
    opened.send("on_change_current_sample")
    opened.state, opened.shown = {}, {}
    clock[0] += 1
    opened.send("on_change_view")  # the user's own doing
    assert (opened.asked, opened.state, opened.shown) == ({}, {}, {})


def test_a_dot_clears_filters_that_hide_its_video(videos: fo.Dataset) -> None:
    opened = OpenedPanel(videos)
    long = ids(videos)["long"]
    hiding = {"filepath": {"values": ["/videos/short.mp4"], "exclude": False, "isMatching": True}}
    opened.filters = hiding
    opened.send("on_dot", id=ids(videos)["short"])  # the filters leave this one
    assert list(opened.asked) == ["open_sample"]
    opened.send("on_dot", id=long)
    assert list(opened.asked) == ["clear_sidebar_filters", "clear_view"]
    opened.send("on_change_view")
    assert opened.asked == {}
    opened.filters = {}
    opened.send("on_change_view")
    assert opened.asked["open_sample"]["id"] == long
    # Of a saved view FiftyOne does not say what the filters leave.
    videos.save_view("everything", videos.view())
    opened.filters, opened.view_name = hiding, "everything"
    opened.send("on_dot", id=long)
    assert list(opened.asked) == ["clear_sidebar_filters", "clear_view"]
    opened.filters, opened.view_name = {}, None
    opened.extended = {"fiftyone.core.stages.Select": {"sample_ids": [ids(videos)["short"]]}}
    opened.send("on_dot", id=long)
    assert list(opened.asked) == ["clear_all_stages"]


def test_filters_do_not_hide_clips_and_selections(videos: fo.Dataset) -> None:
    opened = OpenedPanel(videos)
    short = ["/videos/short.mp4"]
    opened.filters = {"filepath": {"values": short, "exclude": False, "isMatching": True}}
    opened.send("on_cell", idx=[0, 20], trace_idx=0)
    assert list(opened.asked) == ["clear_sidebar_filters", "set_view"]
    opened.send("on_select", data=[{"id": ids(videos)["long"]}])
    assert list(opened.asked) == ["clear_sidebar_filters", "set_view"]
    opened.send("show_all")
    assert list(opened.asked) == ["clear_sidebar_filters", "clear_view"]


def wanting(videos: fo.Dataset, name: str = "long") -> OpenedPanel:
    """A panel whose App was told to open a video, once its view had come."""
    opened = OpenedPanel(videos)
    opened.view = videos.select(ids(videos)["short"])
    opened.send("on_dot", id=ids(videos)[name])
    opened.view = None
    opened.send("on_change_view")
    assert list(opened.asked) == ["open_sample"]
    return opened


def asks_again(opened: OpenedPanel) -> bool:
    opened.send("on_change_view")
    return "open_sample" in opened.asked


def test_a_lost_answer_is_given_again(videos: fo.Dataset, clock: list[float]) -> None:
    opened = wanting(videos)
    assert not asks_again(opened)  # it has hardly arrived
    clock[0] += 1
    assert asks_again(opened)
    clock[0] += review_clips.AGAIN
    assert not asks_again(opened)  # nobody expects it any more


def test_a_change_of_the_page_may_close_what_has_just_opened(
    videos: fo.Dataset, clock: list[float]
) -> None:
    opened = wanting(videos)
    for sample in (ids(videos)["long"], None):
        clock[0] += 0.2
        opened.sample = sample
        opened.send("on_change_current_sample")
        assert opened.asked == {}
    assert asks_again(opened)


@pytest.mark.parametrize("told", [True, False])
def test_what_the_reader_closed_stays_closed(
    videos: fo.Dataset, clock: list[float], told: bool
) -> None:
    opened = wanting(videos)
    opened.sample = ids(videos)["long"]
    if told:
        opened.send("on_change_current_sample")
    else:  # events may come late, but all say what is open
        clock[0] += 0.5
        assert not asks_again(opened)
    clock[0] += 2
    assert not asks_again(opened)
    opened.sample = None
    opened.send("on_change_current_sample")
    assert not asks_again(opened)


def test_another_sample_takes_the_place_of_what_was_wanted(
    videos: fo.Dataset, clock: list[float]
) -> None:
    opened = OpenedPanel(videos)
    opened.view = videos.select(ids(videos)["short"])
    opened.send("on_dot", id=ids(videos)["long"])
    opened.sample = ids(videos)["short"]
    opened.send("on_change_current_sample")
    opened.sample, opened.view = None, None
    assert not asks_again(opened)


def test_nothing_opens_long_after_a_click(videos: fo.Dataset, clock: list[float]) -> None:
    opened = OpenedPanel(videos)
    opened.view = videos.select(ids(videos)["short"])
    opened.send("on_dot", id=ids(videos)["long"])
    opened.view = None
    clock[0] += review_clips.PATIENCE + 1
    assert not asks_again(opened)
    opened.view = videos.select(ids(videos)["short"])
    opened.send("on_dot", id=ids(videos)["long"])
    opened.view = None
    opened.send("show_all")
    assert not asks_again(opened)


def test_a_deleted_video_is_told_of(videos: fo.Dataset) -> None:
    opened = OpenedPanel(videos)
    long = ids(videos)["long"]
    videos.delete_samples(long)
    opened.send("on_dot", id=long)
    assert "no longer" in opened.asked["notify"]["message"]
    opened.send("on_cell", idx=[0, 3], trace_idx=0)
    assert "notify" in opened.asked


def test_a_box_of_dots_becomes_the_view(videos: fo.Dataset) -> None:
    opened = OpenedPanel(videos)
    chosen = [ids(videos)["long"], ids(videos)["short"]]
    points = [{"id": id_} for id_ in (*chosen, chosen[0], None)]
    opened.send("on_select", data=points)
    assert set(opened.asked_view().values("id")) == set(chosen)
    opened.send("on_select", data=[])
    assert opened.asked == {}


def test_a_cell_becomes_a_clip(videos: fo.Dataset) -> None:
    """Videos of 90 annotated frames: two of them in each column, from t = 1 on."""
    opened = OpenedPanel(videos)
    opened.send("on_cell", idx=[0, 20], trace_idx=0)  # long: t = 41 and 42
    clip = opened.asked_view().first()
    assert clip.sample_id == ids(videos)["long"]
    assert clip.support == [42, 42 + CLIP_FRAMES - 1]
    opened.view = opened.asked_view()
    opened.send("on_change_view")  # now the App can find it
    assert opened.asked["open_sample"]["id"] == clip.id
    opened.sample = clip.id
    opened.send("on_change_current_sample")
    opened.sample = None
    opened.send("on_change_current_sample")
    opened.send("on_cell", idx=[0, 20], trace_idx=0)  # again: the view stays
    assert list(opened.asked) == ["open_sample"]
    assert opened.asked["open_sample"]["id"] == clip.id
    opened.send("on_cell", idx=[0, 44], trace_idx=0)  # the end: no more than there is
    assert opened.asked_view().first().support == [90, 90]
    opened.send("on_cell", idx=[2, 20], trace_idx=0)  # short has no such time
    assert "notify" in opened.asked


def test_a_cell_follows_order_and_filters(videos: fo.Dataset) -> None:
    opened = OpenedPanel(videos)
    opened.choose(seen="seen", order="length")
    opened.send("on_cell", idx=[0, 4], trace_idx=0)
    clip = opened.asked_view().first()
    assert clip.sample_id == ids(videos)["middle"]
    assert clip.support[0] == 6


def test_two_runs_are_compared(videos: fo.Dataset) -> None:
    save_run(videos, "after", make_table([make_track("long", [0.7] * 90)]))
    opened = OpenedPanel(videos)
    opened.choose(run="before", other="after", order="change")
    assert [trace["name"] for trace in opened.heat] == ["before", "after"]
    assert opened.heat[1]["yaxis"] == "y2"
    first, second = opened.heat
    assert first["y"] == second["y"]
    missing = second["y"].index("short")
    assert set(second["z"][missing]) == {None}
    assert [trace["name"] for trace in opened.data["upper.bars"]] == ["before", "after"]
    opened.send("on_cell", idx=[first["y"].index("long"), 0], trace_idx=1)
    assert opened.asked_view().first().support[0] == 2
    opened.send("on_cell", idx=[missing, 0], trace_idx=1)
    assert "notify" in opened.asked


def test_a_deleted_run_leaves_the_rest(videos: fo.Dataset) -> None:
    save_run(videos, "after", make_table([make_track("long", [0.7] * 90)]))
    opened = OpenedPanel(videos)
    opened.choose(run="after", other="before", order="change")
    videos.delete_evaluation("after")
    opened.send("on_load")
    assert opened.state["controls"]["run"] == "before"
    assert opened.state["controls"]["other"] == "none"
    assert opened.state["controls"]["order"] == "worst"
    assert len(opened.heat) == 1


def test_without_a_run_it_offers_one(videos: fo.Dataset) -> None:
    videos.delete_evaluation("before")
    opened = OpenedPanel(videos)
    assert "Nothing has been evaluated yet" in opened.text
    opened.send("evaluate")
    prompt = opened.asked["prompt_user_for_operation"]
    assert prompt["operator_uri"] == "@hs2s/vos/evaluate_vos"
    assert prompt["on_success"].endswith("length_review#on_load")


def test_other_media_are_explained(dataset: fo.Dataset) -> None:
    dataset.add_sample(fo.Sample(filepath="/images/a.jpg"))
    opened = OpenedPanel(dataset)
    assert "No videos here" in opened.text


def test_results_that_cannot_be_read_are_told_of(
    videos: fo.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("the file is gone")

    monkeypatch.setattr("hs2s_fiftyone.panels.review_shown.load_run", fail)
    opened = OpenedPanel(videos)
    assert "the file is gone" in opened.text
