import random
from collections import Counter

import pytest
from feedbacks import Box, identifier

from etl.feedback.collect import collect
from etl.feedback.kinds import ReviewReason, Shares, choose
from etl.feedback.ledger import SAMPLES, ReviewSample, entries
from etl.feedback.records import id_of
from etl.feedback.sample import SampleResult, open_records, sample
from snap2caption.feedback import Words

pytestmark = pytest.mark.unit

ALL = Shares(random=1.0)
EDIT = Words(caption="Mine.")


def numbers(box: Box) -> list[int]:
    ids = {identifier(number): number for number in range(200)}
    return sorted(ids[id_of(key)] for key in open_records(box.store))


def test_what_was_collected_is_not_collected_again(box: Box) -> None:
    box.send(1)
    box.send(2)
    assert collect(box.store) == 2
    assert collect(box.store) == 0
    # From the outbox: older than what is there.
    box.send(0)
    assert collect(box.store) == 1


def test_what_was_erased_is_not_collected(box: Box) -> None:
    box.erase(box.send(1))
    assert collect(box.store) == 0


def test_each_kind_has_a_share_of_its_own(box: Box) -> None:
    box.send(1, flagged=True, edited=EDIT)
    box.send(2, edited=EDIT)
    box.send(3, rating=2)
    box.send(4, confidence=0.2)
    box.send(5, rating=5, confidence=0.9)
    collect(box.store)
    assert sample(box.store, Shares(low_confidence=1.0, random=0.0), 0) == SampleResult(
        chosen={
            ReviewReason.FLAGGED: 1,
            ReviewReason.EDITED: 1,
            ReviewReason.LOW_RATED: 1,
            ReviewReason.LOW_CONFIDENCE: 1,
        },
        duplicates=0,
    )
    assert numbers(box) == [1, 2, 3, 4]


def test_an_edit_that_changes_nothing_is_none(box: Box) -> None:
    shown = Words(caption="Same.")
    assert choose(box.send(1, shown=shown, edited=shown), Shares(random=0.0), 0) is None


def test_a_draw_depends_on_the_feedback_alone(box: Box) -> None:
    many = [box.send(number, photo=b"x") for number in range(200)]
    taken = {
        share: {one.id for one in many if choose(one, Shares(random=share), 7) is ReviewReason.RANDOM}
        for share in (0.2, 0.5)
    }
    assert taken[0.2] < taken[0.5]
    assert len(taken[0.2]) == pytest.approx(40, abs=20)
    assert {one.id for one in many if choose(one, Shares(random=0.2), 8)} != taken[0.2]


def test_the_same_photo_with_the_same_caption_is_seen_once(box: Box) -> None:
    photo = b"a photo"
    box.send(1, photo=photo, shown=EDIT)
    box.send(2, photo=photo, shown=EDIT)
    box.send(3, photo=photo, shown=Words(caption="Another."))
    collect(box.store)
    assert sample(box.store, ALL, 0) == SampleResult(chosen={ReviewReason.RANDOM: 2}, duplicates=1)
    box.send(0, photo=photo, shown=EDIT)
    collect(box.store)
    assert sample(box.store, ALL, 0) == SampleResult(chosen={}, duplicates=1)
    assert numbers(box) == [1, 3]


def test_what_was_chosen_stands_and_is_not_chosen_again(box: Box) -> None:
    for number in range(40):
        box.send(number, photo=f"{number}".encode())
    collect(box.store)
    sample(box.store, Shares(random=0.5), 1)
    first = numbers(box)
    assert 0 < len(first) < 40
    collect(box.store)
    assert sample(box.store, ALL, 2) == SampleResult(chosen={}, duplicates=0)
    assert numbers(box) == first


def test_no_feedback_is_in_two_samples(box: Box) -> None:
    """Two collections at once list the same records."""
    box.send(1)
    collect(box.store)
    box.send(2)
    first = {found.key for found in box.store.list("batches/")}
    for key in first:
        with box.store.get(key) as stream:
            kept = stream.read()
        box.store.delete(key)
    collect(box.store)
    for key in first:
        box.put(key, kept)
    sample(box.store, ALL, 0)
    counts = Counter(chosen.record for _, one in entries(box.store, SAMPLES, ReviewSample) for chosen in one.chosen)
    assert sorted(counts.values()) == [1, 1]


def test_what_was_erased_after_it_was_chosen_is_no_task(box: Box) -> None:
    feedback = box.send(1)
    box.send(2)
    box.send(3)
    collect(box.store)
    sample(box.store, ALL, 0)
    box.erase(feedback)
    box.annotate(3)
    assert numbers(box) == [2]


def test_a_record_that_is_none_stops_nothing(box: Box) -> None:
    box.send(1)
    box.put(f"records/2026-11-20/{'f' * 32}.json", b'{"id": 1}')
    box.put(f"records/2026-11-20/{'e' * 32}.json", b"\xff")
    assert collect(box.store) == 3
    assert sample(box.store, ALL, 0).chosen == {ReviewReason.RANDOM: 1}


def test_any_order_of_arrival_gives_the_same_choice(box: Box, tmp_path_factory: pytest.TempPathFactory) -> None:
    found = []
    for seed in range(2):
        other = Box(tmp_path_factory.mktemp("box"))
        order = list(range(30))
        random.Random(seed).shuffle(order)
        for number in order:
            other.send(number, photo=f"{number}".encode())
            if number % 7 == 0:
                collect(other.store)
                sample(other.store, Shares(random=0.3), 5)
        collect(other.store)
        sample(other.store, Shares(random=0.3), 5)
        found.append(numbers(other))
    assert found[0] == found[1]


def test_what_the_loop_knows_names_no_content(box: Box) -> None:
    """What is left of a feedback once it was erased is its id: its words and its photo's digest are in no object of
    the loop's.
    """
    feedback = box.send(
        1, shown={"caption": "A telling sentence."}, location="A telling place", edited={"caption": "Mine."}
    )
    collect(box.store)
    sample(box.store, ALL, 0)
    box.erase(feedback)
    for found in box.store.list():
        with box.store.get(found.key) as stream:
            content = stream.read().decode()
        assert "telling" not in content
        assert feedback.photo not in content
        assert feedback.creator not in content
    assert identifier(1) in "".join(found.key for found in box.store.list("erased/"))
