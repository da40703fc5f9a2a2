"""``hs2s propagate``: a video and masks of its objects in, a mask for every frame out."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from hs2s_core.errors import HS2SError
from hs2s_core.progress import Meter, add_quiet
from hs2s_core.wording import counted

if TYPE_CHECKING:
    from hs2s_core.data.videos import VosVideo
    from hs2s_core.media.source import FrameSource
    from hs2s_core.models.base import VideoSegmenter
    from hs2s_core.prompts import Prompts
    from hs2s_core.propagation.clip import ClipSettings, Step

_FPS = 24.0
_USAGE = """hs2s propagate SOURCE MASKS OUT [options]
       hs2s propagate SOURCE --prompt FRAME=FILE [--prompt ...] --out OUT [options]
       hs2s propagate --data ROOT --split NAME --out DIR [--zip] [options]"""
EXAMPLES = (
    "hs2s propagate clip.mp4 first.png masks/ --overlay overlay.mp4",
    "hs2s propagate frames/ keyframes/ masks/        # keyframes/00000.png, keyframes/00040.png",
    "hs2s propagate clip.mp4 --prompt 0=a.png --prompt 40=b.png --out masks/",
    "hs2s propagate clip.mp4 first.png masks/ --session work/",
    "hs2s propagate clip.mp4 --prompt 40=mended.png --out masks/ --overwrite --session work/",
    "hs2s propagate clip.mp4 first.png masks/ --from 100 --to 200 --direction forward",
    "hs2s propagate --data YouTube-VOS/ --split valid --out submission/ --zip",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``hs2s propagate``."""
    parser.usage = _USAGE
    parser.add_argument(
        "places",
        nargs="*",
        type=Path,
        metavar="SOURCE MASKS OUT",
        help="a video or a folder of frames; a PNG of object ids (or black and white), or a folder "
        "of them named as the frames (of a video: by number from 0), every one of which counts; "
        "the folder for one palettised PNG each",
    )
    _add_what(parser)
    _add_how(parser)


def _add_what(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--prompt",
        action="append",
        type=_prompt,
        default=[],
        metavar="FRAME=FILE",
        help="the PNG of a frame, from 0; instead of MASKS, as often as wanted",
    )
    parser.add_argument("--out", type=Path, metavar="OUT", help="another way to say OUT")
    parser.add_argument(
        "--frame",
        type=int,
        metavar="N",
        help="the frame, from 0, that a single PNG belongs to (default: the one it is named "
        "after, else 0)",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="ROOT",
        help="a YouTube-VOS, DAVIS or plain folder, all of whose videos are propagated from the "
        "first mask of each object; written as the benchmark's server wants them",
    )
    parser.add_argument("--split", metavar="NAME", help="the split of ROOT, such as valid")
    parser.add_argument("--zip", action="store_true", help="with --data: also write OUT.zip")
    parser.add_argument(
        "--from", dest="first", type=int, metavar="N", help="the first frame wanted (default: 0)"
    )
    parser.add_argument(
        "--to", dest="last", type=int, metavar="N", help="the last one (default: the clip's)"
    )
    parser.add_argument(
        "--overlay", type=Path, metavar="FILE.mp4", help="also write the masks over the video"
    )
    parser.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="also write, as .csv or .json, how sure each mask is, by object and frame; like "
        "--session, it lets the command name the frame to correct next",
    )
    parser.add_argument(
        "--fps", type=float, help=f"speed of the overlay (default: the video's, else {_FPS:g})"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace masks of an earlier run")


def _add_how(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--direction",
        choices=("both", "forward", "backward"),
        help="where objects are followed from their masks (default: both; forward with --data)",
    )
    parser.add_argument(
        "--merge",
        choices=("argmax", "soft"),
        default="argmax",
        help="how objects compete for pixels: by probability (default) or by normalised odds",
    )
    parser.add_argument(
        "--weights",
        metavar="FILE",
        help="a .safetensors file or the name of shipped weights (default: hs2s-lite)",
    )
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:N or mps")
    parser.add_argument(
        "--threads",
        type=int,
        metavar="N",
        help="threads of the CPU (default: as many as there are free cores)",
    )
    parser.add_argument(
        "--online-steps",
        type=int,
        default=0,
        metavar="N",
        help="first train the network for N steps on the first masks (slow; default: 0)",
    )
    parser.add_argument(
        "--chunk",
        type=int,
        default=16,
        metavar="N",
        help="frames that a bidirectional network (Bi-HS2S) reads ahead at once: more help it and "
        "take memory; other networks read none ahead (default: 16)",
    )
    parser.add_argument(
        "--session",
        type=Path,
        metavar="DIR",
        help="keep what is computed in DIR: the same command goes on after a stop, and with other "
        "masks only what they change is computed again; MASKS then are all that count, --prompt "
        "adds to those of last time or replaces them frame by frame",
    )
    add_quiet(parser)


def _prompt(word: str) -> tuple[int, Path]:
    number, equals, path = word.partition("=")
    if not equals or not path or not (number.isascii() and number.isdigit()):
        raise argparse.ArgumentTypeError(
            f"{word!r}; expected FRAME=FILE with a frame's number from 0, such as 40=mask.png"
        )
    return int(number), Path(path)


def run(args: argparse.Namespace) -> int:
    """Propagate, frame by frame; everything that can be wrong is found before the first."""
    for name, least in (("chunk", 1), ("threads", 1), ("online_steps", 0), ("first", 0)):
        value = getattr(args, name)
        if value is not None and value < least:
            flag = "from" if name == "first" else name.replace("_", "-")
            raise HS2SError(f"--{flag} is {value}; expected at least {least}")
    if args.session is not None and args.online_steps:
        raise HS2SError("--session and --online-steps do not go together: each trains anew")
    places = list(args.places)
    out = args.out if args.out is not None else places.pop() if places else None
    if args.data is not None:
        return _run_split(args, places, out)
    if args.split is not None or args.zip:
        raise HS2SError("--split and --zip go with --data ROOT, a folder of many videos")
    wanted = 1 if args.prompt else 2
    if out is None or len(places) != wanted:
        found = " ".join(map(str, args.places)) or "nothing"
        raise HS2SError(f"found {found}; expected\n       {_USAGE}")
    return _run_clip(args, places[0], None if args.prompt else places[1], out)


def _run_clip(args: argparse.Namespace, source: Path, masks: Path | None, out: Path) -> int:
    from hs2s_core.media.frames import open_frames

    frames = open_frames(source)
    _check_places(args, source, masks, out)
    prompts = _read_prompts(args, masks, frames)
    model = _load(args)
    started = time.perf_counter()
    meter = Meter("frame", quiet=args.quiet)
    settings = _settings(args, "both")
    with ExitStack() as stack:
        if args.session is not None:
            from hs2s_core.propagation.session import Session, identify

            identity = identify(model, frames.at(0))
            session = Session(args.session, model, identity=identity, settings=settings)
            stack.enter_context(session)
            prompts = _joined(session.prompts if args.prompt else None, prompts)
            session.correct(prompts)
            steps = session.run(frames)
        else:
            steps = _steps(args, model, frames, prompts, settings)
        count = _write(args, steps, frames, out, meter)
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


def _suggest(args: argparse.Namespace) -> None:
    """Name the frame to correct next, where it is known."""
    from hs2s_core.propagation.signs import read_signs, suggest_frames

    known = args.report or (args.session and args.session / "signs.csv")
    for frame, object_id, _ in suggest_frames(read_signs(known)) if known else ():
        print(f"to correct next: frame {frame}, where object {object_id} is most in doubt")


def _read_prompts(args: argparse.Namespace, masks: Path | None, frames: FrameSource) -> Prompts:
    from hs2s_core.prompts import Prompts

    if masks is not None:
        return Prompts.from_files(masks, frames, frame=args.frame)
    if args.frame is not None:
        raise HS2SError("--frame goes with MASKS; --prompt says its frame itself")
    read = [Prompts.from_files(path, frames, frame=frame) for frame, path in args.prompt]
    return Prompts(prompt for each in read for prompt in each.each())


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

    given = [*(path for _, path in args.prompt), *([] if masks is None else [masks])]
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
        for flag in ("prompt", "frame", "overlay", "report", "first", "last", "session")
        if getattr(args, flag)
    ]
    if places or beside or out is None:
        raise HS2SError(f"with --data, expected\n       {_USAGE.splitlines()[-1].strip()}")
    folder = open_folder(args.data, args.split)
    root = videos_root(out, "davis" if folder.layout == "davis" else "youtube_vos")
    if root.resolve() in (folder.annotations.resolve(), folder.images.resolve()):
        raise HS2SError(f"{out}: holds what was given; expected another folder to write to.")
    for name in folder.names:
        check_free(root / name, overwrite=args.overwrite)
    model = _load(args)
    failed: list[str] = []
    for place, name in enumerate(folder.names, 1):
        meter = Meter(f"{place}/{len(folder)} {name}: frame", quiet=args.quiet)
        try:
            _propagate_video(args, model, folder.video(name), root / name, meter)
        except HS2SError as error:  # the other videos must not suffer
            failed.append(name)
            print(f"{name}: {error}", file=sys.stderr)
    done = [root / name for name in folder.names if name not in failed]
    print(f"{len(done)} of {counted(len(folder), 'video')} -> {out}")
    if args.zip and done:
        target = out.with_name(f"{out.resolve().name}.zip")
        write_zip(target, out, done)
        print(f"zip for the server -> {target}")
    return 1 if failed else 0


def _propagate_video(
    args: argparse.Namespace, model: VideoSegmenter, video: VosVideo, out: Path, meter: Meter
) -> None:
    from hs2s_core.media.frames import open_frames
    from hs2s_core.prompts import Prompts

    prompts = Prompts.of(video.first_masks())
    frames = open_frames(video.frames)
    steps = _steps(args, model, frames, prompts, _settings(args, "forward"))
    _write(args, steps, frames, out, meter)


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
        model = _adapt(args, model, frames, prompts)
    return walk_clip(NetworkEngine(model), frames, prompts, settings)


def _write(
    args: argparse.Namespace, steps: Iterator[Step], frames: FrameSource, out: Path, meter: Meter
) -> int:
    """Write the mask of every frame that is wanted; returns how many those were."""
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
            fps = args.fps or frames.fps or _FPS
            video = stack.enter_context(VideoWriter(args.overlay, frames.size, fps))
        report = None
        if args.report is not None:
            report = stack.enter_context(writing_signs(args.report))
        for done, total, result in steps:
            meter(done, total)
            if result is None:
                continue
            if report is not None:
                report(result)
            name = frames.names[result.index] if frames.names is not None else f"{result.index:05d}"
            write_id_map(folder / f"{name}.png", result.id_map)
            if video is not None:
                video.write(draw_masks(frames.at(result.index), result.id_map))
            count += 1
    meter.end()
    return count


def _load(args: argparse.Namespace) -> VideoSegmenter:
    from hs2s_core.devices import use_threads
    from hs2s_core.weights import load_model

    model = load_model(args.weights, device=args.device)
    told = use_threads(args.threads)
    if not args.quiet:
        print(told, file=sys.stderr)
    return model


def _adapt(
    args: argparse.Namespace, model: VideoSegmenter, frames: FrameSource, prompts: Prompts
) -> VideoSegmenter:
    from hs2s_core.training.online import adapt

    first = min(prompts)
    print(
        f"adapting to the masks of frame {first}: {counted(args.online_steps, 'step')}",
        file=sys.stderr,
    )
    return adapt(model, frames.at(first), prompts[first], args.online_steps)
