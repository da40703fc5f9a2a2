"""Which labels of a video show the same object: by ``index``, else by ``instance``.

FiftyOne has two ways to say so, and tools use either or both. Ids may also clash: tracks of
several annotation jobs, merged into one field, share their indexes. Everything that reads labels
of more than one frame asks here.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from hs2s_core.errors import HS2SError
from hs2s_core.prompts import LARGEST_ID

_Key = Hashable


class Mark(NamedTuple):
    """What one label says of its object."""

    index: int | None = None  # type: ignore[assignment]  # of a tuple's method
    instance: Hashable | None = None
    """Id of its instance."""
    label: str | None = None
    """Its class."""

    @property
    def is_nameless(self) -> bool:
        """Whether nothing tells which labels of other frames show the same object."""
        return self.index is None and self.instance is None

    @property
    def name(self) -> str:
        """What to call its object in a message."""
        if self.index is not None:
            return f"object {self.index}"
        return f"{self.label or 'object'} (instance {self.instance})"


class Identities:
    """The objects that the labels of one field of a video show.

    Labels of one ``index`` are one object, as are labels without an index of one ``instance``; a
    label that has both says that they are the same. Labels of one index that stand in the same
    frame, but differ in class or in instance, are different objects: there, all labels of that
    index are told apart by class, or by instance.

    An object's id is its index where that can be an id, else the smallest that is free.
    """

    def __init__(self, frames: Iterable[Iterable[Mark]] = ()) -> None:
        """Take the marks of all labels, frame by frame; nameless ones are left out."""
        known = list(dict.fromkeys(tuple(frame) for frame in frames))
        marks = dict.fromkeys(mark for frame in known for mark in frame if not mark.is_nameless)
        self._ids: dict[_Key, int] = {}
        self._indexes: dict[int, int | None] = {}
        self._classes: dict[int, list[str | None]] = {}
        self._by_class = set(_clashes(known, "label"))
        self._by_instance = set(_clashes(known, "instance"))
        self._linked: dict[Hashable, _Key] = {}
        for mark in marks:
            if mark.index is not None and mark.instance is not None:
                self._linked.setdefault(mark.instance, self._key(mark))
        # First those whose index is their id, so that no other object takes it.
        for mark in sorted(marks, key=lambda mark: not _is_id(mark.index)):
            self.add(mark)

    def find(self, mark: Mark) -> int | None:
        """The id of the object that a label shows, also one of another field; None if it is none.

        Where the index does not tell, the instance does.
        """
        found = None if mark.is_nameless else self._ids.get(self._key(mark))
        if found is None and mark.instance is not None:
            found = self._ids.get(self._linked.get(mark.instance, mark.instance))
        return found

    def add(self, mark: Mark) -> int:
        """The id of a label's object, a new one if needed.

        Raises HS2SError for a nameless label, or when the video has too many objects.
        """
        if mark.is_nameless:
            raise HS2SError(
                "a label has neither `index` nor `instance`, so it cannot be followed from frame "
                "to frame; give each object an index."
            )
        key = self._key(mark)
        if key not in self._ids:
            index = mark.index
            free = _is_id(index) and index not in self._indexes
            self._ids[key] = index if free and index is not None else self.extra()
            self._indexes[self._ids[key]] = index
        classes = self._classes.setdefault(self._ids[key], [])
        if mark.label is not None and mark.label not in classes:
            classes.append(mark.label)
        return self._ids[key]

    def expect(self, index: int) -> int | None:
        """The id that labels of an index will have; None if they are told apart otherwise."""
        mark = Mark(index)
        return None if self.is_clash(mark) else self.add(mark)

    def extra(self) -> int:
        """The id of one more object, that no label shown so far has."""
        for number in range(1, LARGEST_ID + 1):
            if number not in self._indexes:
                self._indexes[number] = None
                return number
        raise HS2SError(f"the video has more than {LARGEST_ID} objects")

    def index(self, object_id: int) -> int:
        """The ``index`` of an object's labels; its id where they have none."""
        index = self._indexes[object_id]
        return object_id if index is None else index

    def label(self, object_id: int) -> str | None:
        """The first class that an object's labels name."""
        return next(iter(self._classes.get(object_id, ())), None)

    def is_clash(self, mark: Mark) -> bool:
        """Whether labels of several objects have this index."""
        return mark.index in self._by_class or mark.index in self._by_instance

    def remarks(self) -> Iterator[str]:
        """What a user should know of indexes that do not say clearly what is one object."""
        for index in sorted(self._by_class | self._by_instance):
            own = [number for number, known in self._indexes.items() if known == index]
            names = sorted({str(self.label(number)) for number in own})
            yield (
                f"index {index} is that of {len(own)} objects ({', '.join(names)}) in one frame, "
                "which were told apart by class and instance; give each an index of its own."
            )
        for number, classes in self._classes.items():
            if len(classes) > 1:
                listed = ", ".join(map(str, classes))
                yield (
                    f"object {self.index(number)} has labels of several classes ({listed}) and was "
                    f"taken for one object, a {classes[0]}; if these are several objects, give "
                    "each an index of its own."
                )

    def _key(self, mark: Mark) -> _Key:
        if mark.index is None:
            return self._linked.get(mark.instance, mark.instance)
        by_class, by_instance = mark.index in self._by_class, mark.index in self._by_instance
        return Mark(
            mark.index, mark.instance if by_instance else None, mark.label if by_class else None
        )


class Ties:
    """Which object of the truth a predicted label shows; others get ids that the truth lacks.

    By index or instance; or, where a model numbers its objects anew, as ``pairs`` says: the true
    object of a predicted one, by their ids.
    """

    def __init__(
        self, truth: Identities, prediction: Identities, pairs: Mapping[int, int] | None = None
    ) -> None:
        self._truth = truth
        self.predicted = prediction
        self._by_mark = pairs is None
        self._tied = dict(pairs or {})

    def start(self, marks: Iterable[Mark]) -> Ties:
        """Tie what is known to come; labels of the same class choose first. Returns itself."""
        if self._by_mark:
            for mark in sorted(marks, key=lambda mark: not self._is_same_class(mark)):
                self(mark)
        return self

    def __call__(self, mark: Mark) -> int:
        """The id of a predicted label's object among those of the truth."""
        own = self.predicted.add(mark)
        if own not in self._tied:
            found = self._truth.find(mark) if self._by_mark else None
            if found is None and self._by_mark and mark.index is not None:
                # What a Segmentation shows later is known by then only.
                found = self._truth.expect(mark.index)
            if self.predicted.is_clash(mark) and found in self._tied.values():
                found = None
            self._tied[own] = self._truth.extra() if found is None else found
        return self._tied[own]

    def _is_same_class(self, mark: Mark) -> bool:
        found = self._truth.find(mark)
        return found is not None and self._truth.label(found) == mark.label


def _is_id(index: int | None) -> bool:
    return index is not None and 0 < index <= LARGEST_ID


def _clashes(frames: Iterable[Sequence[Mark]], part: str) -> Iterator[int]:
    """Indexes of which a frame has labels that differ in a part of their marks."""
    for frame in frames:
        seen: dict[int, object] = {}
        for mark in frame:
            value = getattr(mark, part)
            if mark.index is None or value is None:
                continue
            if seen.setdefault(mark.index, value) != value:
                yield mark.index
