"""Sessions: corrections equal full runs bit for bit; they outlast stops, forks, other writers."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hs2s_core.errors import HS2SError
from hs2s_core.media.masks import write_id_map
from hs2s_core.models import build_model
from hs2s_core.models.presets import PRESETS
from hs2s_core.prompts import Prompt, Prompts
from hs2s_core.prompts.hints import Hint
from hs2s_core.propagation import FrameResult, mask_log
from hs2s_core.propagation.clip import ClipSettings, clip_steps
from hs2s_core.propagation.engine import Engine
from hs2s_core.propagation.network import NetworkEngine
from hs2s_core.propagation.session import Session, identify

from ..threads import threads
from .carrier import SIZE, Carrier, Clip, box

LENGTH = 10
SOFT = ClipSettings(soft=True)


@pytest.fixture(autouse=True)
def frequent_states(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mask_log, "CHECKPOINT_EVERY", 3)


def results(steps: Iterable[object]) -> list[FrameResult]:
    return [step.result for step in steps if step.result is not None]  # type: ignore[attr-defined]


def assert_same(found: list[FrameResult], expected: list[FrameResult]) -> None:
    """Equal in everything, to the last bit."""
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        for name, value in vars(one).items():
            np.testing.assert_equal(value, getattr(other, name), err_msg=name)


def edited(edits: list[tuple[int, int, int | None]], size: tuple[int, int]) -> list[Prompts]:
    """Prompt sets after each edit that leaves any: (frame, object, place of its mask or None)."""
    sets, prompts = [], Prompts()
    for frame, object_id, place in edits:
        if place is None:
            prompts = prompts.drop(frame, object_id)
        else:
            mask = np.zeros(size, bool)
            mask[place : place + size[0] // 3, 2 * place : 2 * place + size[1] // 3] = True
            prompts = prompts.put(Prompt(frame, object_id, mask))
        if len(prompts):
            sets.append(prompts)
    return sets


EDITS = st.lists(
    st.tuples(
        st.integers(0, LENGTH - 1), st.integers(1, 2), st.one_of(st.none(), st.integers(0, 4))
    ),
    min_size=1,
    max_size=6,
)


@given(edits=EDITS, count=st.sampled_from([1, 2, 4]))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_corrections_equal_full_runs(
    edits: list, count: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Also where a session goes several ways at once, and the full run one after the other."""
    folder = tmp_path_factory.mktemp("session") / "s"
    for prompts in edited(edits, SIZE):
        with threads(count), Session(folder, Carrier(at_once=True), settings=SOFT) as session:
            session.correct(prompts)
            found = results(session.run(Clip(LENGTH)))
        assert_same(found, results(clip_steps(Carrier(), Clip(LENGTH), prompts, SOFT)))


@pytest.mark.parametrize("name", ["hs2s-lite", "hs2s", "bi-hs2s"])
def test_corrections_of_networks_equal_full_runs(
    name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    torch.manual_seed(0)
    config = PRESETS[name]
    if "lite" not in name:  # narrow, and with the encoder of the fewest layers, for time
        config = dataclasses.replace(config.scaled(16), encoder="vgg16")
    config = dataclasses.replace(config, input_size=(64, 64), keep_aspect=False)
    engine: Engine = NetworkEngine(build_model(config).eval())
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (48, 64, 3), dtype=np.uint8) for _ in range(LENGTH)]
    how = dataclasses.replace(SOFT, chunk=4)

    @given(edits=EDITS)
    @settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
    def check(edits: list) -> None:
        folder = tmp_path_factory.mktemp("session") / "s"
        for prompts in edited(edits, (48, 64)):
            with Session(folder, engine, settings=how) as session:
                session.correct(prompts)
                found = results(session.run(frames))
            assert_same(found, results(clip_steps(engine, frames, prompts, how)))

    check()


def stepped(session: Session, clip: Clip, engine: Carrier) -> list[str]:
    """What is computed by a run."""
    assert engine.log is not None
    engine.log.clear()
    results(session.run(clip))
    return sorted(engine.log)


def test_only_the_stretches_beside_a_change_run_again(tmp_path: Path) -> None:
    engine, clip = Carrier([]), Clip(100)
    three = Prompts.of({0: {1: box(2, 1)}, 40: {1: box(3, 1)}, 80: {1: box(2, 8), 2: box(7, 8)}})
    with Session(tmp_path / "s", engine) as session:
        session.correct(three)
        assert len(stepped(session, clip, engine)) == 39 * 2 + 39 * 2 + 19 + 99
        assert stepped(session, clip, engine) == []
        clip.read.clear()
        session.correct(three.put(Prompt(40, 1, box(5, 5))))
        expected = sorted(f"1@{frame}" for frame in [*range(1, 40), *range(41, 80)])
        assert stepped(session, clip, engine) == expected
        # Removed, the stretch from frame 0 goes on from its last state.
        session.correct(three.drop(40, 1))
        expected = sorted(f"1@{frame}" for frame in [*range(40, 80), *range(1, 41)])
        assert stepped(session, clip, engine) == expected
        folders = list((tmp_path / "s" / "stretches").iterdir())
        assert len(folders) == 5
        assert len(list((tmp_path / "s" / "prompts").iterdir())) == 3


def test_a_run_that_was_stopped_goes_on(tmp_path: Path) -> None:
    prompts = Prompts.of({0: {1: box(2, 1)}, 9: {1: box(4, 9)}})
    expected = results(clip_steps(Carrier(), Clip(LENGTH), prompts, SOFT))
    for stop in range(1, 2 * LENGTH - 1):
        with Session(tmp_path / str(stop), Carrier(), settings=SOFT) as session:
            session.correct(prompts)
            steps = session.run(Clip(LENGTH))
            for _ in range(stop):
                next(steps)
            del steps
        with Session(tmp_path / str(stop), Carrier()) as session:
            assert session.settings == SOFT
            assert_same(results(session.run(Clip(LENGTH))), expected)


@pytest.mark.parametrize("file", ["state.safetensors", "masks.bin"])
@pytest.mark.parametrize("left", [0.0, 0.5, 0.99])
def test_what_is_damaged_is_made_again(tmp_path: Path, file: str, left: float) -> None:
    """As by a disk that was full, or a folder that was copied halfway."""
    prompts = Prompts.of({0: {1: box(2, 1)}, 9: {1: box(4, 9)}})
    expected = results(clip_steps(Carrier(), Clip(LENGTH), prompts, SOFT))
    with Session(tmp_path / "s", Carrier(), settings=SOFT) as session:
        session.correct(prompts)
        results(session.run(Clip(LENGTH)))
    damaged = list((tmp_path / "s").rglob(file))
    assert damaged
    for path in damaged:
        os.truncate(path, int(left * path.stat().st_size))
    with Session(tmp_path / "s", Carrier()) as session:
        assert_same(results(session.run(Clip(LENGTH))), expected)


@pytest.mark.parametrize("file", ["state.safetensors", "masks.bin"])
def test_what_is_altered_is_made_again(tmp_path: Path, file: str) -> None:
    """At the same length, by one bit."""
    prompts = Prompts.of({0: {1: box(2, 1)}})
    with Session(tmp_path / "s", Carrier(), settings=SOFT) as session:
        session.correct(prompts)
        results(session.run(Clip(LENGTH)))
    (path,) = (tmp_path / "s").rglob(file)
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    engine = Carrier([])
    with Session(tmp_path / "s", engine) as session:
        found = results(session.run(Clip(LENGTH)))
    assert len(engine.log or []) == LENGTH - 1
    assert_same(found, results(clip_steps(Carrier(), Clip(LENGTH), prompts, SOFT)))


def test_a_given_mask_that_was_altered_is_refused(tmp_path: Path) -> None:
    with Session(tmp_path / "s", Carrier()) as session:
        session.correct(Prompts.of({0: {1: box(2, 1)}}))
    (path,) = (tmp_path / "s/prompts").iterdir()
    write_id_map(path, box(3, 1))
    with pytest.raises(HS2SError, match=r"\.png: somebody altered this mask"):
        Session(tmp_path / "s", Carrier())


KILLED = """
import sys
from pathlib import Path
from hs2s_core.prompts import Prompts
from hs2s_core.propagation import mask_log
from hs2s_core.propagation.session import ClipSettings, Session
from tests.propagation.carrier import Carrier, Clip, box
mask_log.CHECKPOINT_EVERY = 3
with Session(Path(sys.argv[1]), Carrier(), settings=ClipSettings(soft=True)) as session:
    session.correct(Prompts.of({0: {1: box(2, 1)}, 9: {1: box(4, 9)}}))
    for step in session.run(Clip(10)):
        print(step.done, flush=True)
        if step.done == 13:
            sys.stdin.read()
"""


def test_a_killed_run_goes_on(tmp_path: Path) -> None:
    """And while it lives nobody else may write."""
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "s")],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    while process.stdout.readline().strip() != "13":
        assert process.poll() is None
    with pytest.raises(HS2SError, match="open elsewhere"):
        Session(tmp_path / "s", Carrier())
    process.send_signal(signal.SIGKILL)
    process.communicate()
    engine = Carrier([])
    with Session(tmp_path / "s", engine) as session:
        found = results(session.run(Clip(LENGTH)))
        assert len(engine.log or []) < 8 + 9
        prompts = session.prompts
    assert_same(found, results(clip_steps(Carrier(), Clip(LENGTH), prompts, SOFT)))


def test_a_fork_goes_its_own_way(tmp_path: Path) -> None:
    prompts = Prompts.of({0: {1: box(2, 1)}})
    with Session(tmp_path / "s", Carrier()) as session:
        session.correct(prompts)
        first = results(session.run(Clip(LENGTH)))
        session.fork(tmp_path / "t")
        with pytest.raises(HS2SError, match="exists already"):
            session.fork(tmp_path / "t")
        with Session(tmp_path / "t", Carrier()) as other:
            other.correct(prompts.put(Prompt(5, 1, box(6, 6))))
            results(other.run(Clip(LENGTH)))
        assert_same(results(session.run(Clip(LENGTH))), first)


def test_points_mend_what_was_predicted(tmp_path: Path) -> None:
    """As a full run with the mended mask would have it."""
    with Session(tmp_path / "s", Carrier(), settings=SOFT) as session:
        session.correct(Prompts.of({0: {1: box(2, 1)}}))
        results(session.run(Clip(LENGTH)))
        before = session.result(Clip(LENGTH), 6)
        after = session.mend(Clip(LENGTH), 6, 1, Hint(None, ((12, 4),), ((2, 3),)))
        assert before.mask(1)[3, 2]
        assert not after.mask(1)[3, 2]
        assert after.mask(1)[4, 12]
        assert after.origins == {1: "mended"}
    with Session(tmp_path / "s", Carrier()) as session:
        found = results(session.run(Clip(LENGTH)))
        mended = Prompt(6, 1, after.mask(1), origin="mended")
        prompts = Prompts.of({0: {1: box(2, 1)}}).put(mended)
        assert_same(found, results(clip_steps(Carrier(), Clip(LENGTH), prompts, SOFT)))
        for number in range(LENGTH):
            assert_same([session.result(Clip(LENGTH), number)], [found[number]])
        with pytest.raises(HS2SError, match="object 2: no mask is given of it anywhere"):
            session.mend(Clip(LENGTH), 6, 2, Hint(None, ((12, 4),)))
        with pytest.raises(HS2SError, match="the clip ends before it"):
            session.mend(Clip(LENGTH), LENGTH, 1, Hint(None, ((12, 4),)))


def test_cuts_are_settings_that_are_kept(tmp_path: Path) -> None:
    """What was followed across one before is at hand without it, and the reverse."""
    how = ClipSettings(soft=True, cuts=[4])
    prompts = Prompts.of({0: {1: box(2, 1)}, 8: {2: box(4, 9)}})
    with Session(tmp_path / "s", Carrier(), settings=how) as session:
        session.correct(prompts)
        found = results(session.run(Clip(LENGTH)))
        assert_same(found, results(clip_steps(Carrier(), Clip(LENGTH), prompts, how)))
        assert [each.ids for each in found] == [(1,)] * 4 + [(2,)] * 6
    with Session(tmp_path / "s", Carrier()) as session:
        assert session.settings == how
    with Session(tmp_path / "s", Carrier(), settings=SOFT) as session:
        found = results(session.run(Clip(LENGTH)))
        assert_same(found, results(clip_steps(Carrier(), Clip(LENGTH), prompts, SOFT)))


def test_a_session_grows_by_a_bounded_amount_a_frame(tmp_path: Path) -> None:
    """Per object and way at most a mask in bytes, and what compressing and listing it may add."""
    sizes = {}
    for length in (20, 120):
        folder = tmp_path / str(length)
        with Session(folder, Carrier()) as session:
            session.correct(Prompts.of({0: {1: box(2, 1)}, length - 1: {1: box(4, 9)}}))
            (folder / "stretches").mkdir()
            (folder / "stretches" / ".state.part").write_bytes(b"torn" * 10**5)
        with Session(folder, Carrier()) as session:
            results(session.run(Clip(length)))
        sizes[length] = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert sizes[120] - sizes[20] <= 100 * 2 * (SIZE[0] * SIZE[1] + 20) + 100 * 120
    assert sizes[20] < 10**5  # nothing torn is left


def test_what_is_no_session_of_this_clip_is_refused(tmp_path: Path) -> None:
    with Session(tmp_path / "s", Carrier(), identity="a"):
        pass
    with pytest.raises(HS2SError, match="other weights"):
        Session(tmp_path / "s", Carrier(), identity="b")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(HS2SError, match="holds no session"):
        Session(tmp_path / "mine", Carrier())
    file = tmp_path / "s" / "session.json"
    known = json.loads(file.read_text())
    for damaged in ("{", "[1]", json.dumps({**known, "prompts": 3, "identity": ""})):
        file.write_text(damaged)
        with pytest.raises(HS2SError, match="no session's file, or a damaged one"):
            Session(tmp_path / "s", Carrier())


def test_a_closed_session_writes_nothing(tmp_path: Path) -> None:
    """Another process may have it open by now."""
    prompts = Prompts.of({0: {1: box(2, 1)}})
    with Session(tmp_path / "s", Carrier()) as session:
        session.correct(prompts)
    for use in (lambda: session.correct(prompts), lambda: session.run(Clip(LENGTH))):
        with pytest.raises(HS2SError, match="this session is closed"):
            use()


def test_weights_and_clips_are_told_apart() -> None:
    one, other = (NetworkEngine(build_model(PRESETS["s2s-lite"])) for _ in range(2))
    frame = np.zeros((2, 2, 3), np.uint8)
    assert identify(one, frame) == identify(one.sibling(), frame.copy())
    assert identify(one, frame) != identify(other, frame)
    assert identify(one, frame) != identify(one, frame + 1)
