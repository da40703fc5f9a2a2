"""Shared by all tests: FiftyOne, when a test imports it, runs against a database of its own.

A developer's machine may have a FiftyOne App open. FiftyOne attaches to *any* running service of
the machine, whatever ``FIFTYONE_DATABASE_DIR`` says, so tests could write into real datasets.
Therefore the first ``import fiftyone`` of a test run starts a private MongoDB server, and tests
that never import it (all of ``hs2s_core``) pay nothing.
"""

from __future__ import annotations

import atexit
import ctypes
import importlib.abc
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import settings

if sys.platform != "win32":
    import fcntl

_LINUX = sys.platform == "linux"
_LIBC = ctypes.CDLL(None) if _LINUX else None
_PR_SET_PDEATHSIG = 1

# Tests run in several processes; threads beside them only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# The developer's own weights are no part of what is tested.
os.environ["HS2S_WEIGHTS"] = str(Path(tempfile.gettempdir(), "hs2s-tests-have-none"))

# How long an example takes says more about the machine than about the code.
settings.register_profile("hs2s", deadline=None)
settings.load_profile("hs2s")

# Settings of the developer's own FiftyOne must not leak into the tests.
for _name in [name for name in os.environ if name.startswith("FIFTYONE_")]:
    del os.environ[_name]

_NO_SERVER = (
    "no MongoDB server for the FiftyOne tests: the installed FiftyOne brings no `mongod` and none "
    "is on the PATH. Install one as a wheel with `pip install -e '.[mongodb]'`."
)


def pytest_configure(config: pytest.Config) -> None:
    """Leave out what FiftyOne's own modules warn about on import; with ``-n``, share out files."""
    if config.getoption("numprocesses", default=None):
        # In the order of their names, so that tests/app, which takes longest, comes first.
        config.option.dist, config.option.loadscopereorder = "loadfile", False
    for message in ("Passing a class to strawberry.scalar", "No uuidRepresentation is specified"):
        config.addinivalue_line("filterwarnings", f"ignore:{message}:DeprecationWarning")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file goes to one process, and so do all of tests/app: one server, and one browser."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return "tests/app" if "tests/app/" in file else file

    return Scheduling(config, log)


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No network, and nothing that was downloaded before."""

    def no_network(*args: object, **kwargs: object) -> None:
        raise OSError("network is unreachable")

    monkeypatch.setattr("torch.hub.download_url_to_file", no_network)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))


@pytest.fixture
def own_signals() -> Iterator[None]:
    """A terminal that is closed ends a process, also where pytest runs under ``nohup``."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL) if hasattr(signal, "SIGHUP") else None
    yield
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, before)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sums in a fixed order, and no fight for cores."""
    from .threads import threads

    with threads(1):
        yield


class _PrivateFiftyOne(importlib.abc.MetaPathFinder):
    """Prepares environment and database just before ``fiftyone`` is first imported."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name == "fiftyone":
            sys.meta_path.remove(self)
            _prepare()
        return None  # the usual finders load it


sys.meta_path.insert(0, _PrivateFiftyOne())


_IN_MEMORY = Path("/dev/shm")
"""Where Linux keeps files in memory."""


def _prepare() -> None:
    root = Path(tempfile.mkdtemp(prefix="hs2s-tests-"))
    # Each collection and index that a test makes is a file that the server sees safely on its disk
    # before it goes on: half of the time of a test that makes datasets.
    _forget_killed_runs()
    roomy = _IN_MEMORY.is_dir() and shutil.disk_usage(_IN_MEMORY).free > 1 << 30
    database = Path(tempfile.mkdtemp(prefix=root.name, dir=_IN_MEMORY)) if roomy else root / "db"
    database.mkdir(exist_ok=True)
    folders = {
        "DEFAULT_DATASET_DIR": "datasets",
        "DATASET_ZOO_DIR": "dataset-zoo",
        "MODEL_ZOO_DIR": "model-zoo",
        "PLUGINS_DIR": "plugins",
    }
    for key, folder in folders.items():
        (root / folder).mkdir()
        os.environ[f"FIFTYONE_{key}"] = str(root / folder)
    os.environ |= {
        "FIFTYONE_DATABASE_DIR": str(database),
        "FIFTYONE_CONFIG_PATH": str(root / "config.json"),
        "FIFTYONE_APP_CONFIG_PATH": str(root / "app_config.json"),
        "FIFTYONE_DO_NOT_TRACK": "true",
        "FIFTYONE_DATABASE_VALIDATION": "false",
        "FIFTYONE_SHOW_PROGRESS_BARS": "false",
        "HS2S_CACHE": str(root / "cache"),
    }
    server, uri = _start_server(database)
    os.environ["FIFTYONE_DATABASE_URI"] = uri

    def stop() -> None:
        server.terminate()
        server.wait()
        for folder in (root, database):
            shutil.rmtree(folder, ignore_errors=True)

    # Registered before FiftyOne registers its own cleanup, so that it runs after it: FiftyOne
    # waits half a minute for a database that is already gone.
    atexit.register(stop)


def _forget_killed_runs() -> None:
    """Free the memory of databases whose server has gone without being told to."""
    for database in _IN_MEMORY.glob("hs2s-tests-*"):
        try:
            with (database / "mongod.lock").open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # held by its server, not made yet, or another user's
            continue
        shutil.rmtree(database, ignore_errors=True)


def _start_server(database: Path) -> tuple[subprocess.Popen[bytes], str]:
    """A private ``mongod`` on a free port of this machine, ready to answer."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = database / "mongod.log"
    command = [
        _find_mongod(),
        *("--dbpath", str(database), "--bind_ip", "127.0.0.1", "--port", str(port)),
        *("--nounixsocket", "--wiredTigerCacheSizeGB", "0.25"),
        *("--wiredTigerEngineConfigString", "log=(file_max=8MB)"),
        *("--setParameter", "diagnosticDataCollectionEnabled=false"),
    ]
    with log.open("wb") as out:
        server = subprocess.Popen(
            command,
            stdout=out,
            stderr=subprocess.STDOUT,
            preexec_fn=_end_with_parent if _LINUX else None,
        )
    deadline = time.monotonic() + 400  # seconds; a busy machine may need many
    while time.monotonic() < deadline and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=0.2).close()
        except OSError:
            time.sleep(0.05)
        else:
            return server, f"mongodb://127.0.0.1:{port}"
    server.kill()
    raise RuntimeError(f"mongod did not start; the end of its log:\n{log.read_text()[-2000:]}")


def _end_with_parent() -> None:
    """Runs in the server's process: a test run that is killed must not leave it behind."""
    assert _LIBC is not None
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _find_mongod() -> str:
    # Found without importing FiftyOne, whose import would look for a database.
    spec = importlib.util.find_spec("fiftyone")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        bundled = Path(folder, "db", "bin", "mongod")
        if bundled.is_file():
            return str(bundled)
    found = shutil.which("mongod")
    if found is None:
        raise RuntimeError(_NO_SERVER)
    return found
