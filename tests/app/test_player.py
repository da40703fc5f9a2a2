"""``plugin/player.js`` with a player that is none: what orders it gives, and when."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from .conftest import ROOT

PAGE = """
() => {
    const seeks = [];
    let operator;
    const execute = (_, params) =>
        operator.execute({state: {snapshot: {getPromise: async () => window.player}}, params});
    window.__fos__ = {modalLooker: null};
    window.__foo__ = {
        Operator: class {}, OperatorConfig: class {},
        executeOperator: execute, registerOperator: (kind) => { operator = new kind(); },
    };
    window.player = {
        state: {loaded: true, buffering: false, frameNumber: 1},
        seekToFrame(number) { seeks.push(number); this.state.frameNumber = number; },
    };
    window.show = (number) => execute("", {frame_number: number});
    window.later = (milliseconds, act) => setTimeout(act, milliseconds);
    window.seeks = seeks;
}
"""


@pytest.mark.parametrize(
    ("happens", "expected"),
    [
        ("", [7]),
        # The App's clock starts late.
        ("later(450, () => player.state.frameNumber = 1)", [7, 7]),
        # Someone goes on from there.
        ("later(450, () => player.state.frameNumber = 8)", [7]),
        # Another frame is asked for, and the clock starts after that.
        (
            "later(250, () => show(9)); later(650, () => { player.state.frameNumber = 1; })",
            [7, 9, 9],
        ),
        # The player has no frames yet.
        ("player.state.buffering = true; later(450, () => player.state.buffering = false)", [7]),
    ],
)
def test_a_frame_stays(browser: Browser, happens: str, expected: list[int]) -> None:
    page = browser.new_page()
    try:
        page.clock.install()
        page.evaluate(PAGE)
        page.add_script_tag(path=ROOT / "plugin" / "player.js")
        page.evaluate(f"() => {{ {happens}; show(7); }}")
        for _ in range(50):
            page.clock.run_for(100)
        assert page.evaluate("seeks") == expected
    finally:
        page.close()
