"""What ``hs2s propagate`` is given: masks and hints, and the places it may write to."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from hs2s_core.errors import HS2SError

if TYPE_CHECKING:
    from hs2s_core.hints import Hint
    from hs2s_core.media.source import FrameSource
    from hs2s_core.prompts import Prompt, Prompts


def check_places(args: argparse.Namespace, source: Path, masks: Path | None, out: Path) -> None:
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


def read_given(args: argparse.Namespace, masks: Path | None, frames: FrameSource) -> Prompts:
    """The masks of ``MASKS``, or what the ``--prompt`` say."""
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
    for object_id, hint in hints_of(word):
        yield Prompt.pointed(frame, object_id, picture, hint)


def joined(earlier: Prompts | None, given: Prompts) -> Prompts:
    """``given``; where there are masks of earlier, both, of which those given count."""
    if earlier is None:
        return given
    for prompt in given.each():
        earlier = earlier.put(prompt)
    return earlier


def _is_hint(word: str) -> bool:
    from hs2s_core.hints import is_hint

    return word.lower().endswith(".json") or is_hint(word)


def hints_of(word: str) -> Iterator[tuple[int, Hint]]:
    """What a word of ``--prompt`` or ``--mend`` points at, by object id."""
    from hs2s_core.hints import parse_hint, read_hints

    return read_hints(Path(word)) if word.lower().endswith(".json") else iter([parse_hint(word)])
