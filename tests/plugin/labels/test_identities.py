"""Which labels of a video are one object, and which predicted one is which true one."""

from __future__ import annotations

import pytest

from hs2s_core.errors import HS2SError
from hs2s_fiftyone.labels.identities import Identities, Mark, Ties


def ids(identities: Identities, *marks: Mark) -> list[int]:
    return [identities.add(mark) for mark in marks]


def test_the_index_tells_then_the_instance() -> None:
    both, index, instance = Mark(4, "x"), Mark(4), Mark(None, "x")
    identities = Identities([[both], [index], [instance], [Mark(None, "y")]])
    assert ids(identities, both, index, instance, Mark(None, "y")) == [4, 4, 4, 1]


def test_a_mark_that_links_index_and_instance_may_come_last() -> None:
    identities = Identities([[Mark(None, "x")], [Mark(3, "x")]])
    assert ids(identities, Mark(None, "x"), Mark(3)) == [3, 3]


def test_indexes_that_can_be_ids_are_kept() -> None:
    marks = [Mark(None, "x"), Mark(0), Mark(-5), Mark(70_000), Mark(1), Mark(2)]
    identities = Identities([marks])
    found = ids(identities, *marks)
    assert found[-2:] == [1, 2]
    assert sorted(found) == [1, 2, 3, 4, 5, 6]
    assert [identities.index(number) for number in found[1:4]] == [0, -5, 70_000]
    assert identities.extra() == 7


@pytest.mark.parametrize(
    "pair",
    [
        (Mark(1, None, "cat"), Mark(1, None, "dog")),
        (Mark(1, "x", "cat"), Mark(1, "y", "cat")),
        (Mark(1, "x"), Mark(1, "y")),
    ],
)
def test_labels_of_one_index_in_one_frame_are_several_objects(pair: tuple[Mark, Mark]) -> None:
    identities = Identities([pair, pair[:1], pair[1:]])
    assert ids(identities, *pair) == [1, 2]
    (remark,) = identities.remarks()
    assert "index 1 is that of 2 objects" in remark


def test_parts_of_one_object_stay_one() -> None:
    part = Mark(1, "x", "cat")
    identities = Identities([[part, part]])
    assert ids(identities, part, part) == [1, 1]
    assert list(identities.remarks()) == []


def test_a_class_that_changes_is_told() -> None:
    identities = Identities([[Mark(1, None, "cat")], [Mark(1, None, "dog")]])
    assert ids(identities, Mark(1, None, "cat"), Mark(1, None, "dog")) == [1, 1]
    (remark,) = identities.remarks()
    assert "several classes (cat, dog)" in remark


def test_nameless_labels_are_refused() -> None:
    with pytest.raises(HS2SError, match="neither `index` nor `instance`"):
        Identities().add(Mark(label="cat"))


def test_predictions_are_tied_by_index_or_instance() -> None:
    truth = Identities([[Mark(1, "x"), Mark(2, "y")]])
    marks = [Mark(2), Mark(None, "x"), Mark(9)]
    ties = Ties(truth, Identities([marks])).start(marks)
    assert [ties(mark) for mark in marks] == [2, 1, 9]


def test_predictions_are_tied_to_what_the_truth_shows_later() -> None:
    """The values of a Segmentation are known one frame after the other."""
    truth, marks = Identities(), [Mark(2), Mark(5), Mark(0)]
    ties = Ties(truth, Identities([marks])).start(marks)
    assert [truth.add(Mark(index)) for index in (5, 2)] == [5, 2]
    assert [ties(mark) for mark in marks][:2] == [2, 5]


def test_predictions_that_share_an_index_go_by_class() -> None:
    truth = Identities([[Mark(1, None, "cat")]])
    marks = [Mark(1, None, "dog"), Mark(1, None, "cat")]
    ties = Ties(truth, Identities([marks])).start(marks)
    assert [ties(mark) for mark in marks] == [2, 1]


def test_predictions_are_tied_as_pairs_say() -> None:
    truth = Identities([[Mark(1), Mark(2)]])
    ties = Ties(truth, Identities([[Mark(1), Mark(2), Mark(3)]]), {1: 2, 2: 1})
    assert [ties(Mark(index)) for index in (1, 2, 3)] == [2, 1, 3]
