"""``hs2s doctor``: what is missing is named, with what to do about it."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from hs2s_core import doctor
from hs2s_core.doctor import Check
from hs2s_core.errors import HS2SError
from hs2s_fiftyone import doctor as plugin_doctor

from .conftest import Run


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What another test or the machine set up for FiftyOne must not matter."""
    monkeypatch.delenv("FIFTYONE_DATABASE_URI", raising=False)
    monkeypatch.setenv("FIFTYONE_CONFIG_PATH", str(tmp_path / "config.json"))


def test_this_installation_is_sound() -> None:
    for check in (
        doctor.check_python(),
        doctor.check_packages(),
        doctor.check_opencv(),
        doctor.check_device(),
        doctor.check_clip(),
        doctor.check_ffmpeg(),
        plugin_doctor.check_mongodb(),
    ):
        assert check.ok, check


def with_checks(monkeypatch: pytest.MonkeyPatch, *checks: Check) -> None:
    monkeypatch.setattr(doctor, "check_all", lambda: list(checks))


def test_all_there(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    optional = Check("Chromium", False, "-", "install it", required=False)
    with_checks(monkeypatch, Check("Python", True, "3.11"), optional)
    status, said, _ = run("doctor")
    assert status == 0
    assert "ok        Python    3.11" in said
    assert "optional  Chromium  -" in said
    assert "-> install it" in said


def test_something_is_missing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with_checks(monkeypatch, Check("ffmpeg", False, "not found", "install ffmpeg"))
    status, said, _ = run("doctor")
    assert status == 1
    assert said.splitlines()[:2] == ["MISSING   ffmpeg  not found", " " * 18 + "-> install ffmpeg"]


def test_json(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with_checks(monkeypatch, Check("ffmpeg", False, "not found", "install ffmpeg"))
    status, said, _ = run("doctor", "--json")
    assert status == 1
    assert json.loads(said)[0]["mend"] == "install ffmpeg"


@pytest.mark.parametrize("error", [HS2SError("no weights; copy them"), RuntimeError("broken")])
def test_a_check_that_fails_stops_no_other(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> Check:
        raise error

    for name in dir(doctor):
        if name.startswith("check_") and name not in ("check_all", "check_python"):
            monkeypatch.setattr(doctor, name, fail)
    names = [name for name, _ in plugin_doctor.CHECKS]
    monkeypatch.setattr(plugin_doctor, "CHECKS", [(name, fail) for name in names])
    first, *others = doctor.check_all()
    assert first.ok
    assert len(others) == 9
    assert all(not check.ok and str(error) in check.found for check in others)


def test_mongodb_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin_doctor, "bundled_mongod", lambda: None)
    check = plugin_doctor.check_mongodb()
    assert not check.ok
    assert "[mongodb]" in check.mend


def test_mongodb_does_not_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "mongod"
    program.write_text(
        "#!/bin/sh\necho 'mongod: error while loading shared libraries' >&2\nexit 127"
    )
    program.chmod(0o755)
    monkeypatch.setattr(plugin_doctor, "bundled_mongod", lambda: program)
    check = plugin_doctor.check_mongodb()
    assert not check.ok
    assert "error while loading shared libraries" in check.found
    assert "libcurl4" in check.mend


def test_a_server_of_the_users_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = f"127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("FIFTYONE_DATABASE_URI", f"mongodb://me:secret@{place}/?a=b")
        assert plugin_doctor.check_mongodb().ok
    check = plugin_doctor.check_mongodb()
    assert not check.ok
    assert place in check.found
    assert "secret" not in check.found
    # The configuration file of FiftyOne says the same.
    monkeypatch.delenv("FIFTYONE_DATABASE_URI")
    (tmp_path / "config.json").write_text(json.dumps({"database_uri": f"mongodb://{place}"}))
    assert place in plugin_doctor.check_mongodb().found


def test_ffmpeg_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("hs2s_core.media.encode._ffmpeg_wheel", lambda: None)
    check = doctor._run("ffmpeg", doctor.check_ffmpeg)
    assert not check.ok
    assert "install" in check.found


def test_ffmpeg_without_h264(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\necho 'V..... mpeg4'")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    check = doctor.check_ffmpeg()
    assert not check.ok
    assert "H.264" in check.found


def test_a_package_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    real = doctor.version_of
    old = {"torch": "2.1.0", "scipy": None}
    monkeypatch.setattr(doctor, "version_of", lambda name: old.get(name, real(name)))
    check = doctor.check_packages()
    assert not check.ok
    assert "torch (2.1.0, expected torch>=2.5)" in check.mend
    assert "scipy (missing" in check.mend


def test_two_builds_of_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "version_of", lambda name: "4.10.0")
    check = doctor.check_opencv()
    assert not check.ok
    assert "pip uninstall opencv-python" in check.mend


@pytest.mark.parametrize(
    ("report", "ok", "said"),
    [
        ({"folders": ["/p"], "operators": ["propagate_masks"], "errors": []}, True, "propagate"),
        ({"folders": [], "operators": [], "errors": []}, False, "hs2s install-plugin"),
        ({"folders": ["/p"], "operators": [], "errors": ["x\nImportError: y"]}, False, "Error: y"),
        ({"folders": ["/p"], "operators": [], "errors": []}, False, "plugins enable @hs2s/vos"),
    ],
)
def test_plugin(
    report: dict[str, object], ok: bool, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = f"a warning of FiftyOne\n{json.dumps({'plugins_dir': '/plugins', **report})}\n"
    monkeypatch.setattr(plugin_doctor, "call", lambda command: (0, output))
    check = plugin_doctor.check_plugin()
    assert check.ok == ok
    assert said in f"{check.found} {check.mend}"


def test_fiftyone_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "Traceback ...\nImportError: libGL.so.1: cannot open shared object file"
    monkeypatch.setattr(plugin_doctor, "call", lambda command: (1, said))
    check = plugin_doctor.check_plugin()
    assert not check.ok
    assert "libGL.so.1" in check.found
