"""A propagation that is kept in a folder: corrected, resumed after any stop, forked.

The folder holds ``session.json`` (whose frames and network, settings, prompts), ``prompts/`` (masks
by their digest), ``stretches/``: what was computed of each stretch, named by all that it depends
on, and ``signs.csv``: what the last run says of itself. So a change of one mask leaves every
stretch that is not compared with it as it was.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from hs2s_core.checked.calls import checked_call
from hs2s_core.errors import HS2SError
from hs2s_core.files import write_json
from hs2s_core.media.images import RGBImage
from hs2s_core.media.masks import read_id_map, write_id_map
from hs2s_core.models.base import VideoSegmenter
from hs2s_core.prompts import Prompt, Prompts
from hs2s_core.prompts.hints import Hint
from hs2s_core.propagation.clip import ClipSettings, Step, clip_steps
from hs2s_core.propagation.engine import Engine
from hs2s_core.propagation.frame_window import FrameReader
from hs2s_core.propagation.mask_log import CheckpointedMaskLog, MaskLog
from hs2s_core.propagation.network import NetworkEngine
from hs2s_core.propagation.propagator import FrameResult
from hs2s_core.propagation.signs import Sign, Suggestion, read_signs, suggest_frames, writing_signs
from hs2s_core.propagation.timeline import Stretch

VERSION = 3
"""Of what the folder holds; others are refused."""


class Session:
    """One clip, one network, and prompts that change. Use it in a ``with`` block.

    Only one may be open on a folder, in all processes.
    """

    settings: ClipSettings
    _length: int | None
    """True number of frames, once a run reached the end."""

    @checked_call
    def __init__(
        self,
        folder: str | Path,
        model: VideoSegmenter | Engine,
        *,
        identity: str = "",
        settings: ClipSettings | None = None,
    ) -> None:
        """Open the session in ``folder``, or begin one there.

        Args:
            folder: a folder of its own.
            model: as in :func:`propagate`.
            identity: which network and which clip, see :func:`identify`; the same each time.
            settings: None for those of last time.

        Raises:
            HS2SError: somebody has it open; another identity; a folder that holds other things.
        """
        self.folder = Path(folder)
        self._engine = NetworkEngine(model) if isinstance(model, VideoSegmenter) else model
        self._file = self.folder / "session.json"
        self._signs = self.folder / "signs.csv"
        if not self._file.exists() and self.folder.exists() and any(self.folder.iterdir()):
            raise HS2SError(f"{self.folder}: holds no session; give an empty or a new folder")
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(self.folder / "lock", timeout=0)
        try:
            self._lock.acquire()
        except Timeout as error:
            raise HS2SError(
                f"{self.folder}: this session is open elsewhere; wait for that to end, or fork it"
            ) from error
        try:
            for torn in self.folder.rglob(".*.part"):  # of a process that was killed
                torn.unlink()
            self._open(identity, settings)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let others open it."""
        self._lock.release()

    @property
    def prompts(self) -> Prompts:
        """The masks that count."""
        return self._prompts

    @checked_call
    def correct(self, prompts: Prompts) -> None:
        """Let ``prompts`` count from now on; saved at once."""
        self._check_open()
        for prompt in prompts.each():
            path = self._mask_file(prompt)
            if not path.exists():
                write_id_map(path, prompt.mask)
        self._prompts = prompts
        self._save()
        self._signs.unlink(missing_ok=True)
        for path in set((self.folder / "prompts").glob("*.png")) - {
            self._mask_file(prompt) for prompt in prompts.each()
        }:
            path.unlink()

    @checked_call
    def run(self, frames: Iterable[RGBImage]) -> Iterator[Step]:
        """Every step of the clip, as :func:`clip_steps`; what is known is not computed again.

        What the prompts of before led to is deleted once all is done.
        """
        used: set[Path] = set()
        return self._finish(self._steps(frames, self.settings, used), used)

    @checked_call
    def result(self, frames: Iterable[RGBImage], frame: int) -> FrameResult:
        """What the prompts of now lead to in one frame; as far as it is known it is only read.

        Raises:
            HS2SError: the clip has no such frame.
        """
        only = dataclasses.replace(self.settings, first=frame, last=frame)
        result = deque(self._steps(frames, only, set()), maxlen=1).pop().result
        assert result is not None, "the last step is of the one frame that is wanted"
        return result

    @checked_call
    def mend(
        self, frames: Iterable[RGBImage], frame: int, object_id: int, hint: Hint
    ) -> FrameResult:
        """Put right, by points, what is predicted of an object in a frame: a key frame from now on.

        Returns that frame as it is now. :meth:`run` then brings the rest up to date.

        Raises:
            HS2SError: no such frame or object, or what :func:`mend` refuses.
        """
        if object_id not in self._prompts.object_ids:
            raise HS2SError(
                f"object {object_id}: no mask is given of it anywhere, so there is none to mend; "
                f"expected one of {list(self._prompts.object_ids)}"
            )
        picture = FrameReader(frames).at(frame)
        if picture is None:
            raise HS2SError(f"frame {frame} is to be mended, but the clip ends before it")
        mask = self.result(frames, frame).mask(object_id)
        self.correct(self._prompts.put(Prompt.mended(frame, object_id, picture, mask, hint)))
        return self.result(frames, frame)

    def _steps(
        self, frames: Iterable[RGBImage], settings: ClipSettings, used: set[Path]
    ) -> Iterator[Step]:
        """Steps whose stretches are read from the folder, or kept there; ``used`` names them."""
        self._check_open()

        def keep(stretch: Stretch) -> MaskLog:
            folder = self.folder / "stretches" / self._key(stretch)
            used.add(folder)
            return CheckpointedMaskLog(folder)

        return clip_steps(
            self._engine, frames, self._prompts, settings, keep=keep, length=self._length
        )

    def _check_open(self) -> None:
        if not self._lock.is_locked:
            raise HS2SError(
                f"{self.folder}: this session is closed, so that others may write there; open it "
                "again, and use it within its `with` block"
            )

    def _finish(self, steps: Iterator[Step], used: set[Path]) -> Iterator[Step]:
        end = 0
        with writing_signs(self._signs) as add:
            for step in steps:
                if step.result is not None:
                    end = step.result.index + 1
                    add(step.result)
                yield step
        if self.settings.last is None:
            self._length = end
            self._save()
        for folder in set((self.folder / "stretches").glob("*")) - used:
            shutil.rmtree(folder)

    def signs(self) -> Iterator[Sign]:
        """What the last run says of every object and frame, see :class:`Sign`.

        Raises:
            HS2SError: no run has come to its end since prompts changed.
        """
        if not self._signs.exists():
            raise HS2SError(f"{self.folder}: no run has come to its end; run the session first")
        return read_signs(self._signs)

    @checked_call
    def suggest(self, count: int = 1) -> list[Suggestion]:
        """The frames to correct next, see :func:`suggest_frames`; raises as :meth:`signs`."""
        return suggest_frames(self.signs(), count)

    def fork(self, folder: str | Path) -> None:
        """Copy the session, as far as it is, to a new folder.

        Raises:
            HS2SError: there is something there.
        """
        if Path(folder).exists():
            raise HS2SError(f"{folder}: exists already; give a new folder")
        shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns("lock"))

    def _open(self, identity: str, settings: ClipSettings | None) -> None:
        self._identity = identity
        self._length = None
        self._prompts = Prompts()
        self.settings = settings or ClipSettings()
        if not self._file.exists():
            self._save()
            return
        try:
            self._read(identity, settings)
        except HS2SError:
            raise
        except (ValueError, LookupError, TypeError) as error:
            raise HS2SError(
                f"{self._file}: no session's file, or a damaged one ({error!r}); give a new folder"
            ) from error

    def _read(self, identity: str, settings: ClipSettings | None) -> None:
        kept = json.loads(self._file.read_text())
        if kept["version"] != VERSION:
            raise HS2SError(f"{self._file}: version {kept['version']}; expected {VERSION}")
        if kept["identity"] != identity:
            raise HS2SError(
                f"{self.folder}: a session of another clip or of other weights; give a new folder"
            )
        self._length = kept["length"]
        self.settings = settings or ClipSettings(**kept["settings"])
        self._prompts = Prompts(self._given(*row) for row in kept["prompts"])

    def _given(self, frame: int, object_id: int, name: str, origin: str) -> Prompt:
        path = self.folder / "prompts" / name
        prompt = Prompt(frame, object_id, read_id_map(path) > 0, origin=origin)
        if path != self._mask_file(prompt):
            raise HS2SError(
                f"{path}: somebody altered this mask, whose name tells what it showed; give a new "
                "folder, and the masks there"
            )
        return prompt

    def _save(self) -> None:
        objects = self.settings.objects
        settings = dataclasses.replace(self.settings, objects=objects and sorted(objects))
        document = {
            "version": VERSION,
            "identity": self._identity,
            "length": self._length,
            "settings": dataclasses.asdict(settings),
            "prompts": [
                (prompt.frame, prompt.object_id, self._mask_file(prompt).name, prompt.origin)
                for prompt in self._prompts.each()
            ],
        }
        write_json(self._file, document)

    def _mask_file(self, prompt: Prompt) -> Path:
        return self.folder / "prompts" / f"{_digest(prompt.mask)}.png"

    def _key(self, stretch: Stretch) -> str:
        """A name for all that the masks of a stretch depend on; where it ends is not among it."""
        masks = [self._prompts[key][stretch.object_id] for key in stretch.keys]
        given = [(key, _digest(mask)) for key, mask in zip(stretch.keys, masks, strict=True)]
        chunk = None if self._engine.online else self.settings.chunk
        return _digest([stretch.object_id, stretch.start, stretch.forward, given, chunk])


def identify(engine: NetworkEngine, first_frame: RGBImage) -> str:
    """What tells this network and this clip from others, wherever their files lie."""
    return _digest(engine.weights, first_frame)


def _digest(*parts: object) -> str:
    found = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            found.update(repr((part.shape, str(part.dtype))).encode())
            found.update(np.ascontiguousarray(part).tobytes())
        else:
            found.update(json.dumps(part).encode())
    return found.hexdigest()[:32]
