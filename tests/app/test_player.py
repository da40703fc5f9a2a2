"""``plugin/player.js`` with a player that is none: what orders it gives, and when."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from .conftest import ROOT

PAGE = """
() => {
    const seeks = [];
    const ticked = [];
    const operators = {};
    const state = {
        snapshot: {getPromise: async () => window.player},
        set: (sidebar, fields) => ticked.push(sidebar + ": " + fields),
    };
    const execute = (uri, params) => operators[uri].execute({state, params});
    window.done = [];
    operators.go = {execute: ({params}) => done.push("go " + JSON.stringify(params))};
    window.PerformanceObserver = class {
        constructor(tell) { this.tell = tell; }
        observe() {
            window.store = (startTime = performance.now()) => {
                done.push("stored");
                this.tell({getEntries: () => [
                    {name: "http://a/fonts/sample", startTime: performance.now()},
                    {name: "http://a/dataset/d/sample/s", startTime},
                ]});
            };
        }
    };
    window.__fos__ = {
        modalLooker: null, activeFields: ({modal}) => modal ? "video" : "grid",
    };
    window.renewed = [];
    const answer = async (method, route, asked) => ({frames: [{route, ...asked}]});
    window.__fou__ = {getFetchFunction: () => answer};
    window.__foo__ = {
        Operator: class {},
        OperatorConfig: class { constructor({name}) { this.name = name; } },
        executeOperator: execute,
        registerOperator: (kind, plugin) => {
            const operator = new kind();
            operators[`${plugin}/${operator.config.name}`] = operator;
        },
    };
    window.open = (name) => ({
        state: {loaded: true, buffering: false, frameNumber: 1, config: {sampleId: "s"}},
        firstFrame: {}, firstFrameNumber: 1, sample: {id: "s", frames: ["old"]},
        updateSample(sample) {
            const [{route, frameNumber, numFrames, frameCount, sampleId}] = sample.frames;
            const range = [frameNumber, numFrames, frameCount].join();
            window.renewed.push([name, sample.id, route, sampleId, range].join(" "));
        },
        seekToFrame(number) { seeks.push(name + number); this.state.frameNumber = number; },
    });
    window.player = open("");
    window.show = (number, opening) =>
        execute("@hs2s/vos/show_frame", {frame_number: number, opening});
    window.renew = () => execute(
        "@hs2s/vos/renew_first_frame", {opening: "s", dataset: "d", view: []}
    );
    window.tick = (...fields) => execute("@hs2s/vos/show_fields", {fields});
    window.annotate = () => {
        document.body.innerHTML = `<div id=modal><u data-cy=button></u><div data-cy=modal-content>
            <i data-cy=segmentation-mode></i><b data-cy=explore></b>
            <button aria-label="Showing elapsed time">0:00.00 / 0:03.00</button>
            <p class=_ruler_x style="position: fixed; left: 100px; width: 800px"></p>
            </div></div>`;
        document.querySelector("b").onclick = () => { done.push("left"); explore(); };
    };
    const lift = () => new PointerEvent("pointerup", {bubbles: true});
    window.touch = (element) => document.querySelector(element).dispatchEvent(lift());
    window.timeline = () => document.addEventListener("pointerup", ({target, clientX}) => {
        if (target.tagName !== "P") return;
        done.push(window.ready ? `at ${Math.round(clientX)}` : "early");
        if (window.ready) document.querySelector("button").textContent = window.wanted || "later";
    });
    window.ask = () => execute("@hs2s/vos/show_frame", {frame_number: 7, share: 0.5});
    window.enter = (clock) => {
        window.wanted = clock;
        document.body.innerHTML = `<div id=modal><a data-cy=annotate></a>
            <button aria-label="Showing elapsed time">${clock}</button></div>`;
        document.querySelector("a").click();
        annotate();
    };
    window.press = () => execute("@hs2s/vos/save_drawn", {operator: "go", params: {saved: true}});
    window.explore = () => { document.body.innerHTML = ""; };
    window.later = (milliseconds, act) => setTimeout(act, milliseconds);
    window.seeks = seeks;
    window.ticked = ticked;
}
"""


@pytest.mark.parametrize(
    ("happens", "expected"),
    [
        ("", ["7"]),
        # The App's clock starts late.
        ("later(450, () => player.state.frameNumber = 1)", ["7", "7"]),
        # Someone goes on from there.
        ("later(450, () => player.state.frameNumber = 8)", ["7"]),
        # Another frame is asked for, and the clock starts after that.
        (
            "later(250, () => show(9)); later(650, () => { player.state.frameNumber = 1; })",
            ["7", "9", "9"],
        ),
        # The player has no frames yet.
        ("player.state.buffering = true; later(450, () => player.state.buffering = false)", ["7"]),
    ],
)
def test_a_frame_stays(browser: Browser, happens: str, expected: list[str]) -> None:
    assert told(browser, f"{happens}; show(7)") == expected


@pytest.mark.parametrize(
    ("happens", "expected"),
    [
        ("", ["7"]),
        # There is no player yet, or one in which a panel is shown.
        ("player = undefined; later(4500, () => player = open('a'))", ["a7"]),
        ("player = {}; later(4500, () => player = open('a'))", ["a7"]),
        # The one before is still there, and the clock of the new one starts late.
        (
            "later(3500, () => player = open('a')); later(4500, () => player.state.frameNumber=1)",
            ["7", "a7", "a7"],
        ),
        # Someone opens another video.
        (
            "later(1500, () => { player = open('b'); player.state.config.sampleId = 't'; })",
            ["7"],
        ),
        # Someone goes back to the first frame later.
        ("later(4500, () => player.state.frameNumber = 1)", ["7"]),
    ],
)
def test_a_video_that_is_being_opened(browser: Browser, happens: str, expected: list[str]) -> None:
    assert told(browser, f"{happens}; show(7, 's')") == expected


TICKED = ["grid: a,b", "video: a,b"]


@pytest.mark.parametrize(
    ("happens", "expected"),
    [
        ("", TICKED),
        # The Annotate tab is left, and brings back what was ticked before.
        (
            "annotate(); later(450, () => { explore(); ticked.push('before'); })",
            ["before", *TICKED],
        ),
        (
            "annotate(); later(450, explore); later(550, () => ticked.push('before'))",
            ["before", *TICKED],
        ),
        # It is not left.
        ("annotate(); later(9500, () => ticked.push('before'))", ["before"]),
    ],
)
def test_fields_are_ticked_beside_the_grid_and_the_video(
    browser: Browser, happens: str, expected: list[str]
) -> None:
    assert told(browser, f"{happens}; tick('a', 'b')", "ticked") == expected


@pytest.mark.parametrize(
    ("happens", "expected"),
    [
        ("", [" s /frames s 1,1,1"]),
        # A clip begins later.
        ("player.firstFrameNumber = 5", [" s /frames s 5,1,5"]),
        # The Annotate tab is left, and there is a player only then.
        (
            "annotate(); player = undefined;"
            "later(950, explore); later(1450, () => { player = open('a'); })",
            ["a s /frames s 1,1,1"],
        ),
        # Another video is opened, or a group of images.
        ("player.state.config.sampleId = 't'", []),
        ("player = {state: {config: {sampleId: 's'}}}", []),
    ],
)
def test_the_first_frame_is_read_anew(browser: Browser, happens: str, expected: list[str]) -> None:
    assert told(browser, f"{happens}; renew()", "renewed") == expected


@pytest.mark.parametrize(
    ("happens", "before"),
    [
        ("press()", []),
        ("annotate(); press()", []),
        # What somebody drew is saved already.
        ("annotate(); touch('i'); later(250, store); later(550, press)", ["stored"]),
        # It is saved when the tab is left.
        ("annotate(); touch('i'); later(250, press); later(950, store)", ["left", "stored"]),
        # What is saved last was drawn before.
        (
            "annotate(); later(250, () => touch('i')); later(350, () => { store(0); press(); });"
            "later(850, store)",
            ["stored", "left", "stored"],
        ),
        # Nothing was drawn.
        ("annotate(); touch('i'); later(250, press); later(2950, store)", ["left"]),
        ("annotate(); touch('u'); later(250, press)", []),
        ("touch('body'); later(250, press)", []),
    ],
)
def test_what_is_drawn_is_saved_before_labels_change(
    browser: Browser, happens: str, before: list[str]
) -> None:
    done = told(browser, happens, "done")
    assert done[: len(before) + 1] == [*before, 'go {"saved":true}']
    assert done.count('go {"saved":true}') == 1


@pytest.mark.parametrize(
    ("happens", "expected"),
    [
        # It is open where a frame is asked for.
        ("annotate(); ready = true; ask()", ["at 500"]),
        # It is opened at some frame, and takes some time.
        (
            "later(1050, () => enter('0:01.50 / 0:03.00')); later(2550, () => { ready = true; })",
            ["early", "early", "early", "at 501"],
        ),
        ("ready = true; enter('1:00:00.00 / 2:00:00.00')", ["at 500"]),
        ("ready = true; enter('19 / 36')", ["at 500"]),
        # At the first frame it begins anyway.
        ("ready = true; enter('0:00.00 / 0:03.00')", []),
        ("ready = true; enter('1 / 36')", []),
        # Somebody begins to draw.
        ("enter('0:01.50 / 0:03.00'); later(950, () => touch('i'))", ["early", "early"]),
    ],
)
def test_the_annotate_tab_begins_at_the_frame(
    browser: Browser, happens: str, expected: list[str]
) -> None:
    assert told(browser, f"timeline(); {happens}", "done") == expected


def told(browser: Browser, script: str, what: str = "seeks") -> list[str]:
    """The frames that players are told to show in ten seconds, by player; or what else was done."""
    page = browser.new_page()
    try:
        page.clock.install()
        page.evaluate(PAGE)
        page.add_script_tag(path=ROOT / "plugin" / "player.js")
        page.evaluate(f"() => {{ {script}; }}")
        for _ in range(100):
            page.clock.run_for(100)
        said: list[str] = page.evaluate(what)
        return said
    finally:
        page.close()
