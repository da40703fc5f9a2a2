"""``hs2s propagate``: a video and masks of its objects in, a mask for every frame out."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hs2s_core.commands.propagate_options import EXAMPLES, FPS, USAGE, add_arguments
from hs2s_core.errors import HS2SError
from hs2s_core.jobs import Done, Item, Report, Tick, Work, find_engine, run_job
from hs2s_core.progress import Meter
from hs2s_core.wording import counted, some

__all__ = ["EXAMPLES", "add_arguments", "run"]

if TYPE_CHECKING:
    from hs2s_core.data.videos import VosFolder
    from hs2s_core.hints import Hint
    from hs2s_core.media.source import FrameSource
    from hs2s_core.models.base import VideoSegmenter
    from hs2s_core.prompts import Prompt, Prompts
    from hs2s_core.propagation.clip import ClipSettings, Step
    from hs2s_core.propagation.propagator import FrameResult


def run(args: argparse.Namespace) -> int:
    """Propagate, frame by frame; everything that can be wrong is found before the first."""
    for name, least in (("chunk", 1), ("threads", 1), ("online_steps", 0), ("first", 0)):
        value = getattr(args, name)
        if value is not None and value < least:
            flag = "from" if name == "first" else name.replace("_", "-")
            raise HS2SError(f"--{flag} is {value}; expected at least {least}")
    if args.session is not None and args.online_steps:
        raise HS2SError("--session and --online-steps do not go together: each trains anew")
    if args.mend and args.session is None:
        raise HS2SError(
            "--mend puts right what an earlier run predicted, so it goes with that run's --session"
        )
    places = list(args.places)
    out = args.out if args.out is not None else places.pop() if places else None
    if args.data is not None:
        return _run_split(args, places, out)
    if args.split is not None or args.zip:
        raise HS2SError("--split and --zip go with --data ROOT, a folder of many videos")
    wanted = 1 if args.prompt or args.mend else 2
    if out is None or len(places) != wanted:
        found = " ".join(map(str, args.places)) or "nothing"
        raise HS2SError(f"found {found}; expected\n       {USAGE}")
    return _run_clip(args, places[0], None if wanted == 1 else places[1], out)


def _run_clip(args: argparse.Namespace, source: Path, masks: Path | None, out: Path) -> int:
    from hs2s_core.media.frames import open_frames

    frames = open_frames(source)
    _check_places(args, source, masks, out)
    prompts = _read_prompts(args, masks, frames)
    model = _load(args)
    started = time.perf_counter()
    meter, count = Meter("frame", quiet=args.quiet), 0
    settings = replace(_settings(args, "both"), cuts=_cuts(args, frames))
    with ExitStack() as stack:
        if args.session is not None:
            from hs2s_core.propagation.session import Session, identify

            identity = identify(model, frames.at(0))
            session = Session(args.session, model, identity=identity, settings=settings)
            stack.enter_context(session)
            prompts = _joined(None if masks is not None else session.prompts, prompts)
            session.correct(prompts)
            for frame, word in args.mend:
                for object_id, hint in _hints(word):
                    session.mend(frames, frame, object_id, hint)
            steps = session.run(frames)
        else:
            steps = _steps(args, model, frames, prompts, settings)
        for done, total, written in _write(args, steps, frames, out):
            meter(done, total)
            count = written
        meter.end()
    seconds = time.perf_counter() - started
    objects = len(prompts.object_ids)
    print(
        f"{counted(objects, 'object')} through {counted(count, 'frame')} in "
        f"{seconds:.1f} s ({count / seconds:.1f} frames per second) -> {out}"
    )
    if args.overlay is not None:
        print(f"overlay -> {args.overlay}")
    if args.report is not None:
        print(f"report -> {args.report}")
    _suggest(args)
    return 0


def _cuts(args: argparse.Namespace, frames: FrameSource) -> tuple[int, ...]:
    """The cuts at which nothing is followed further; says where they are, if that is wanted."""
    if args.cuts is None:
        return ()
    from hs2s_core.media.cuts import find_cuts

    cuts = tuple(find_cuts(frames))
    print(f"cuts: {'frames ' if cuts else ''}{some(map(str, cuts), 20)}")
    return cuts if args.cuts == "stop" else ()


def _suggest(args: argparse.Namespace) -> None:
    """Name the frame to correct next, where it is known."""
    from hs2s_core.propagation.signs import read_signs, suggest_frames

    known = args.report or (args.session and args.session / "signs.csv")
    for frame, object_id, _ in suggest_frames(read_signs(known)) if known else ():
        print(f"to correct next: frame {frame}, where object {object_id} is most in doubt")


def _read_prompts(args: argparse.Namespace, masks: Path | None, frames: FrameSource) -> Prompts:
    from hs2s_core.prompts import Prompts

    if masks is not None:
        prompts = Prompts.from_files(masks, frames, frame=args.frame)
        if args.frame is None and not masks.is_dir() and not args.quiet:
            print(f"{masks}: taken for frame {min(prompts)} (else --frame N)", file=sys.stderr)
        return prompts
    if args.frame is not None:
        raise HS2SError("--frame goes with MASKS; --prompt says its frame itself")
    return Prompts(each for frame, word in args.prompt for each in _given(frame, word, frames))


def _given(frame: int, word: str, frames: FrameSource) -> Iterator[Prompt]:
    """What ``--prompt`` says is given in a frame: masks of a PNG, or what hints point at."""
    from hs2s_core.prompts import Prompt, Prompts, has_frame

    if not _is_hint(word):
        yield from Prompts.from_files(Path(word), frames, frame=frame).each()
        return
    if not has_frame(frames, frame):
        raise HS2SError(f"{frame}={word}: {frames.description} has frames 0 to {len(frames) - 1}")
    picture = frames.at(frame)
    for object_id, hint in _hints(word):
        yield Prompt.pointed(frame, object_id, picture, hint)


def _is_hint(word: str) -> bool:
    from hs2s_core.hints import is_hint

    return word.lower().endswith(".json") or is_hint(word)


def _hints(word: str) -> Iterator[tuple[int, Hint]]:
    from hs2s_core.hints import parse_hint, read_hints

    return read_hints(Path(word)) if word.lower().endswith(".json") else iter([parse_hint(word)])


def _joined(earlier: Prompts | None, given: Prompts) -> Prompts:
    """``given``; where there are masks of earlier, both, of which those given count."""
    if earlier is None:
        return given
    for prompt in given.each():
        earlier = earlier.put(prompt)
    return earlier


def _check_places(args: argparse.Namespace, source: Path, masks: Path | None, out: Path) -> None:
    """Nothing that was given may be overwritten, nor anything else without a word."""
    from hs2s_core.data.results import check_free
    from hs2s_core.hints import is_hint

    files = [Path(what) for _, what in (*args.prompt, *args.mend) if not is_hint(what)]
    given = [*files, *([] if masks is None else [masks])]
    taken = {source.resolve()} | {
        place for path in given for place in (path.resolve(), path.resolve().parent)
    }
    if out.resolve() in taken:
        raise HS2SError(f"{out}: holds what was given; expected another folder to write to.")
    check_free(out, overwrite=args.overwrite)
    if args.overlay is not None:
        from hs2s_core.media.encode import find_ffmpeg

        find_ffmpeg()
        if args.overlay.suffix.lower() != ".mp4":
            raise HS2SError(f"{args.overlay}: cannot write this format; expected a name in .mp4.")
    if args.report is not None:
        from hs2s_core.propagation.signs import check_report

        check_report(args.report)
    for beside in filter(None, (args.overlay, args.report)):
        if beside.resolve() in taken:
            raise HS2SError(f"{beside}: was given itself; expected another file to write.")
        if beside.exists() and not args.overwrite:
            raise HS2SError(
                f"{beside}: exists already; give another name, or --overwrite to replace it."
            )


def _run_split(args: argparse.Namespace, places: list[Path], out: Path | None) -> int:
    """Every video of a split; 1 if one failed."""
    from hs2s_core.data.folders import open_folder
    from hs2s_core.data.results import check_free, videos_root, write_zip

    beside = [
        flag
        for flag in (
            "prompt",
            "mend",
            "frame",
            "overlay",
            "report",
            "first",
            "last",
            "session",
            "cuts",
        )
        if getattr(args, flag)
    ]
    if places or beside or out is None:
        raise HS2SError(f"with --data, expected\n       {USAGE.splitlines()[-1].strip()}")
    folder = open_folder(args.data, args.split)
    root = videos_root(out, "davis" if folder.layout == "davis" else "youtube_vos")
    if root.resolve() in (folder.annotations.resolve(), folder.images.resolve()):
        raise HS2SError(f"{out}: holds what was given; expected another folder to write to.")
    for name in folder.names:
        check_free(root / name, overwrite=args.overwrite)
    engine = find_engine(args.engine, args.workers)
    meter = Meter("video", quiet=args.quiet)
    items = [Item(name, name) for name in folder.names]
    steps = run_job(_SplitJob(args, folder, root), items, engine=engine)
    while True:
        try:
            meter(next(steps).videos, len(items))
        except StopIteration as stop:
            report: Report[Done] = stop.value
            break
    meter.end()
    for problem in report.failed:
        print(problem, file=sys.stderr)
    failed = {problem.name for problem in report.failed}
    done = [root / name for name in folder.names if name not in failed]
    print(f"{len(done)} of {counted(len(folder), 'video')} -> {out}")
    if args.zip and done:
        target = out.with_name(f"{out.resolve().name}.zip")
        write_zip(target, out, done)
        print(f"zip for the server -> {target}")
    return 1 if failed else 0


@dataclass(frozen=True)
class _SplitJob:
    """The videos of a split, as each process can open them."""

    args: argparse.Namespace
    folder: VosFolder
    root: Path

    def open(self) -> Callable[[Item], Work[Done]]:
        """Load the model."""
        return partial(self._video, _load(self.args))

    def _video(self, model: VideoSegmenter, item: Item) -> Work[Done]:
        from hs2s_core.media.frames import open_frames
        from hs2s_core.prompts import Prompts

        video = self.folder.video(item.name)
        prompts = Prompts.of(video.first_masks())
        frames = open_frames(video.frames)
        steps = _steps(self.args, model, frames, prompts, _settings(self.args, "forward"))
        count = 0
        for done, total, count in _write(self.args, steps, frames, self.root / item.name):
            yield Tick(done / (total or done), f"frame {count}", count)
        return Done(count)


def _settings(args: argparse.Namespace, direction: str) -> ClipSettings:
    from hs2s_core.propagation.clip import ClipSettings

    return ClipSettings(
        direction=args.direction or direction,
        first=args.first or 0,
        last=args.last,
        merge=args.merge,
        chunk=args.chunk,
    )


def _steps(
    args: argparse.Namespace,
    model: VideoSegmenter,
    frames: FrameSource,
    prompts: Prompts,
    settings: ClipSettings,
) -> Iterator[Step]:
    from hs2s_core.propagation.clip import walk_clip
    from hs2s_core.propagation.network import NetworkEngine

    if args.online_steps:
        from hs2s_core.training.online import adapt

        told = f"adapting to the given masks: {counted(args.online_steps, 'step')}"
        print(told, file=sys.stderr)
        model = adapt(model, frames, prompts, args.online_steps)
    return walk_clip(NetworkEngine(model), frames, prompts, settings)


def _write(
    args: argparse.Namespace, steps: Iterator[Step], frames: FrameSource, out: Path
) -> Iterator[tuple[int, int | None, int]]:
    """Write the mask of every frame that is wanted; how far that is, and how many those were."""
    from hs2s_core.beside import in_turn
    from hs2s_core.data.results import writing_masks
    from hs2s_core.media.encode import VideoWriter
    from hs2s_core.media.masks import write_id_map
    from hs2s_core.media.overlay import draw_masks
    from hs2s_core.propagation.signs import writing_signs

    count = 0
    with ExitStack() as stack:
        folder = stack.enter_context(writing_masks(out))
        video = None
        if args.overlay is not None:
            fps = args.fps or frames.fps or FPS
            video = stack.enter_context(VideoWriter(args.overlay, frames.size, fps))
        report = None
        if args.report is not None:
            report = stack.enter_context(writing_signs(args.report))

        def write(result: FrameResult) -> None:
            if report is not None:
                report(result)
            name = frames.names[result.index] if frames.names is not None else f"{result.index:05d}"
            write_id_map(folder / f"{name}.png", result.id_map)
            if video is not None:
                video.write(draw_masks(frames.at(result.index), result.id_map))

        give = stack.enter_context(in_turn())
        for done, total, result in steps:
            if result is not None:
                give(partial(write, result))
                count += 1
            yield done, total, count


def _load(args: argparse.Namespace) -> VideoSegmenter:
    from hs2s_core.devices import pick_device, use_threads
    from hs2s_core.models.inference import choose_pace
    from hs2s_core.weights import load_model

    model = load_model(args.weights, device=args.device, speed=args.speed)
    told = use_threads(args.threads)
    if not args.quiet:
        pace = choose_pace(args.speed, model.config, pick_device(args.device))
        print(told, pace.why, sep="\n", file=sys.stderr)
    return model
