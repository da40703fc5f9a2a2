"""Predictions as the files that the benchmarks' servers take.

One palettised PNG a frame, at the size of the source frames, under the source frames' names.
:func:`export` writes them; ``predictions.read_predictions`` reads such a folder back.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fiftyone.core.collections import SampleCollection

from hs2s_core.checked.calls import checked_call
from hs2s_core.data.results import (
    LAYOUTS,
    check_free,
    find_others,
    videos_root,
    write_zip,
    writing_masks,
)
from hs2s_core.data.splits import safe_name
from hs2s_core.errors import InvalidDataset
from hs2s_core.jobs import Done, Item, Progress, Steps, Summary, Tick, Watch, Work, require, run_job
from hs2s_core.media.masks import write_id_map
from hs2s_core.wording import counted, some

from .jobs import Source, VideoJob, drive
from .labels.conversion import LabelField, paint, read_documents
from .labels.frame_fields import bare, mask_field_error
from .labels.identities import Identities
from .labels.prompts import visible_labels
from .media import check_upright, frame_count, mask_sizes
from .videos.collection import items_of, video_names, videos_of

__all__ = ["ExportSummary", "export"]


@dataclass
class ExportSummary(Summary):
    """What an export wrote, below the folder ``target``."""

    zip_file: Path | None = None
    others: list[str] = dataclasses.field(default_factory=list)
    """Videos of which the folder has masks that this export did not write."""

    def remarks(self) -> list[str]:
        """What stands below the first line."""
        zipped = [] if self.zip_file is None else [f"zip for the server: {self.zip_file}"]
        others = [f"also in the folder, of earlier runs: {some(self.others)}"]
        return [*zipped, *(others if self.others else ()), *super().remarks()]


@checked_call
def export(
    samples: SampleCollection,
    field: str,
    out_dir: str | Path,
    *,
    layout: str = "youtube_vos",
    zip: bool | str | Path = False,  # the word that users of zips look for
    annotated_in: str | None = None,
    overwrite: bool = False,
    progress: bool | Watch | None = None,
) -> ExportSummary:
    """Write the masks of a frame field as id maps, exactly and at the size of the source frames.

    Pixel values are the labels' ``index``; a frame without labels becomes an empty map. Where masks
    overlap, the more confident label wins, as in the evaluation. Frames are named by
    ``frame_name``, as far as the dataset has it, else by their number from 00000.

    Args:
        samples: a dataset or view of videos; labels that a view hides are left out.
        field: frame field with Detections, Polylines or a Segmentation.
        out_dir: folder to write to; made if missing.
        layout: ``youtube_vos`` (``Annotations/<video>/<frame>.png``) or ``davis``
            (``<video>/<frame>.png``).
        zip: True also writes ``<out_dir>.zip`` with this layout at its top, as the layout's server
            takes it; or the path of the zip file.
        annotated_in: only frames in which this frame field is set, for datasets whose videos have
            more frames than the server asks for.
        overwrite: replace the masks in folders of videos that exist in ``out_dir``; other files
            stay, and a video whose folder has pictures that are no masks fails.
        progress: True or False for a progress bar, or a function that is called with Progress.

    Raises:
        HS2SError: before anything is written, if the settings cannot work.
    """
    out_dir = Path(out_dir).expanduser().absolute()
    zip_file = out_dir.with_name(f"{out_dir.name}.zip") if zip is True else None
    job = ExportJob(
        Source(samples),
        field=bare(field),
        out_dir=out_dir,
        layout=layout,
        zip_file=Path(zip).expanduser().absolute() if zip and zip is not True else zip_file,
        annotated_in=annotated_in and bare(annotated_in),
        overwrite=overwrite,
    )
    return drive(job.steps(), progress)


@dataclass(frozen=True)
class ExportJob(VideoJob[Done]):
    """What to write where; fields are frame-level, without ``frames.``."""

    field: str
    out_dir: Path
    layout: str = "youtube_vos"
    zip_file: Path | None = None
    annotated_in: str | None = None
    overwrite: bool = False

    def steps(self) -> Steps[ExportSummary]:
        """Like :func:`export`, step by step; closing the generator undoes the current video."""
        job = replace(self, source=Source(videos_of(self.source.samples)))
        require(job.errors())
        summary = ExportSummary(str(self.out_dir))
        summary.take((yield from run_job(job, items_of(job.source.samples))))
        summary.others = find_others(self._root, set(summary.done))
        if self.zip_file is not None and summary.done:
            yield Progress(1.0, f"Writing {self.zip_file.name}")
            write_zip(self.zip_file, self.out_dir, [self._root / name for name in summary.done])
            summary.zip_file = self.zip_file
        return summary

    def errors(self) -> dict[str, str]:
        """What is wrong with the settings: parameter name -> message."""
        samples, errors = self.source.samples, {}
        if error := mask_field_error(samples, self.field):
            errors["field"] = error
        annotated = self.annotated_in
        if annotated is not None and not samples._dataset.has_frame_field(annotated):
            errors["annotated_in"] = f"there is no frame field {annotated!r}"
        if self.layout not in LAYOUTS:
            errors["layout"] = f"{self.layout!r} is none of {', '.join(LAYOUTS)}"
        elif self.out_dir.exists() and not self.out_dir.is_dir():
            errors["out_dir"] = f"{self.out_dir} is a file; expected a folder"
        elif not self.overwrite:
            names = video_names(samples).values()
            there = [name for name in names if (self._root / name).exists()]
            if there:
                errors["out_dir"] = (
                    f"{self._root} has folders of {counted(len(there), 'video')} of these (such "
                    f"as {there[0]}); choose an empty folder, or overwrite them"
                )
        return errors

    @property
    def _root(self) -> Path:
        return videos_root(self.out_dir, self.layout)

    def video(self, item: Item) -> Work[Done]:
        """Write one video, all or nothing."""
        samples, sample_id = self.source.samples, item.key
        folder = self._root / safe_name(item.name, "the dataset")
        check_free(folder, overwrite=self.overwrite)
        check_upright(samples, sample_id, self.field)
        known = LabelField.of(samples, self.field)
        video_size, (height, width), note, _ = mask_sizes(samples, sample_id)
        visible = visible_labels(samples, sample_id, self.field)
        identities = Identities(known.marks(samples, sample_id))
        total = frame_count(samples, sample_id) or 0
        written, boxes, shown, beyond = 0, 0, False, 0
        with writing_masks(folder, whole=True) as part:
            for document in self._documents(sample_id, total):
                number = document["frame_number"]
                place = f"frame {number}"
                parts = known.parts(document, video_size, place, visible)
                masks = [(identities.add(entry.mark), entry) for entry in parts]
                id_map, _ = paint(masks, video_size)
                boxes += sum(entry.mask is None for entry in parts)
                shown |= bool(id_map.any())
                beyond += bool(parts) and 0 < total < number
                stem = safe_name(document.get("frame_name") or f"{number - 1:05d}", place)
                write_id_map(part / f"{stem}.png", id_map[:height, :width])
                written += 1
                yield Tick(min(1.0, number / (total or number)), f"frame {written}", written)
            if not written:
                raise InvalidDataset("the video has no frames in the dataset; nothing was written")
        notes = [note, *identities.remarks()]
        if beyond:
            notes.append(
                f"{counted(beyond, 'frame')} with labels lie after its end, as it has {total}; the "
                "labels may belong to another video"
            )
        if boxes:
            notes.append(
                f"left out: {counted(boxes, 'label')} without a mask, only a box or a line"
            )
        if not shown:
            hidden = " that the view shows" if visible is not None else ""
            notes.append(f"its masks are empty: no label in {self.field!r}{hidden} has one")
        return Done(written, note="; ".join(filter(None, notes)) or None)

    def _documents(self, sample_id: str, total: int) -> Iterator[dict[str, Any]]:
        """Every frame to write, in order; those that the database lacks have only a number."""
        names, annotated = [self.field, "frame_name"], self.annotated_in
        found = read_documents(self.source.samples, sample_id, names, annotated=annotated)
        if annotated is not None:
            yield from found
            return
        expected = 1
        for document in found:
            yield from ({"frame_number": n} for n in range(expected, document["frame_number"]))
            yield document
            expected = document["frame_number"] + 1
        yield from ({"frame_number": n} for n in range(expected, total + 1))
