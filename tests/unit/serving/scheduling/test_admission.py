import pytest

from serving.scheduling.admission import AdmissionControl
from serving.scheduling.fair_queue import FairQueue

pytestmark = pytest.mark.unit

SOON = 900.0


def fill(places: AdmissionControl, creator: str, most: int) -> int:
    """Admit photos one by one while there is room; return how many."""
    taken = 0
    while taken < most and places.has_room(creator, 1):
        places.acquire(creator, 1)
        taken += 1
    return taken


def test_whoever_is_alone_has_all_places() -> None:
    places = AdmissionControl(8)
    assert fill(places, "ana", 100) == 8
    assert not places.has_room("ana", 1)
    places.release("ana", 8)
    assert places.in_flight == 0
    # A post of several photos is admitted as a whole or not at all.
    assert places.has_room("ana", 8)
    assert not places.has_room("ana", 9)


def test_what_gets_free_is_kept_for_whoever_was_turned_away() -> None:
    places = AdmissionControl(8)
    fill(places, "ana", 8)
    assert not places.has_room("ben", 2)
    places.reserve("ben", 2, SOON)
    for _ in range(2):
        places.release("ana", 1)
        assert not places.has_room("ana", 1)
    assert places.has_room("ben", 2)
    # Places beyond the reservation are free for everyone.
    places.release("ana", 1)
    assert places.has_room("ana", 1)
    assert not places.has_room("ana", 2)
    # Once Ben was admitted, nothing is reserved any more.
    places.acquire("ben", 2)
    assert fill(places, "ana", 100) == 1
    places.release("ben", 2)
    assert places.has_room("ana", 2)


def test_each_has_an_equal_share_while_places_are_wanted() -> None:
    places = AdmissionControl(12)
    fill(places, "ana", 12)
    for newcomer in ("ben", "cem"):
        places.reserve(newcomer, 1, SOON)
    held = {"ana": 12, "ben": 0, "cem": 0}
    # All of them keep asking, Ana first. One place at a time gets free, from whoever has most.
    for _ in range(100):
        most = max(held, key=lambda one: held[one])
        places.release(most, 1)
        held[most] -= 1
        for creator in ("ana", "ana", "ben", "cem"):
            if places.has_room(creator, 1):
                places.acquire(creator, 1)
                held[creator] += 1
            else:
                places.reserve(creator, 1, SOON)
    assert held == {"ana": 4, "ben": 4, "cem": 4}


def test_a_newcomer_may_bring_a_whole_post() -> None:
    places = AdmissionControl(12)
    for creator in ("ana", "ben", "cem"):
        places.reserve(creator, 1, SOON)
    assert places.has_room("dia", 10)
    places.acquire("dia", 10)
    assert not places.has_room("dia", 1)
    assert places.has_room("ana", 1)


def test_whoever_was_turned_away_and_gave_up_is_due_nothing() -> None:
    places = AdmissionControl(4)
    fill(places, "ana", 3)
    places.reserve("ben", 1, 0.0)
    assert places.has_room("ana", 1)


def test_how_many_come_before_is_counted_in_turns() -> None:
    places = AdmissionControl(100)
    places.acquire("ana", 50)
    places.acquire("ben", 2)
    # Ana's next photo comes last. Ben's third comes after two rounds of both and Ana's third, and a newcomer's first
    # after one photo of each.
    assert places.photos_ahead("ana") == 52
    assert places.photos_ahead("ben") == 5
    assert places.photos_ahead("cem") == 2
    # Without API keys there is only one creator.
    alone = AdmissionControl(100)
    alone.acquire("all", 7)
    assert alone.photos_ahead("all") == 7


def test_lines_take_turns_and_keep_their_order() -> None:
    queue = FairQueue[str](7, lambda item: item[0])
    for item in ("a1", "a2", "a3", "b1", "c1", "a4", "b2"):
        queue.put_nowait(item)
    assert queue.full()
    assert [queue.get_nowait() for _ in range(7)] == ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]
    assert queue.empty()
