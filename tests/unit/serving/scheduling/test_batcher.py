import time
from concurrent.futures import Future

import pytest
from patience import LONGEST
from PIL import Image

from serving.engines.base import GenerationRequest
from serving.engines.token_budget import PromptTooLongError
from serving.models.served_model import ServedModel
from serving.observability.metrics import MODEL_ERRORS
from serving.scheduling.batcher import Batcher
from serving.scheduling.ticket import BatchResult, ExpiredError, NoModelError, QueueFullError
from snap2caption.post import Request
from snap2caption.vlm import Decoding

pytestmark = pytest.mark.unit


def task(hint: str | None = None) -> GenerationRequest:
    return GenerationRequest(Image.new("RGB", (8, 8)), Request(hint=hint), (Decoding(8),))


def make(served: ServedModel | None, **limits: float) -> Batcher:
    settings = {"max_batch": 4, "queue_size": 8, "deadline": LONGEST} | limits
    return Batcher(
        lambda _: served,
        max_batch=int(settings["max_batch"]),
        queue_size=int(settings["queue_size"]),
        deadline=settings["deadline"],
    )


def held(batcher: Batcher, served: ServedModel) -> "Future[BatchResult]":
    """Submit one task and pause the engine in it, so that later tasks stay queued."""
    served.engine.go.clear()
    first = batcher.submit(task())
    assert served.engine.started.wait(LONGEST)
    return first


def test_those_who_wait_together_are_served_together(served: ServedModel) -> None:
    batcher = make(served)
    first = held(batcher, served)
    others = [batcher.submit(task()) for _ in range(6)]
    served.engine.go.set()
    for future in [first, *others]:
        assert future.result(LONGEST).generated.description == "A red bridge."
    batcher.close()
    assert served.engine.batches == [1, 4, 2]


def test_a_full_queue_refuses_at_once(served: ServedModel) -> None:
    batcher = make(served, queue_size=2)
    held(batcher, served)
    waiting = [batcher.submit(task()) for _ in range(2)]
    with pytest.raises(QueueFullError):
        batcher.submit(task())
    served.engine.go.set()
    assert all(future.result(LONGEST) for future in waiting)
    batcher.close()


def test_who_waited_too_long_is_not_started(served: ServedModel) -> None:
    batcher = make(served, deadline=LONGEST)
    held(batcher, served)
    late = batcher.submit(task())
    late.queued_at -= 2 * LONGEST
    served.engine.go.set()
    with pytest.raises(ExpiredError):
        late.result(LONGEST)
    batcher.close()
    assert served.engine.batches == [1]


def test_nobody_fails_for_their_company(served: ServedModel) -> None:
    served.engine.poison = "poison"
    batcher = make(served)
    first = held(batcher, served)
    good, bad = batcher.submit(task()), batcher.submit(task("poison"))
    served.engine.go.set()
    assert first.result(LONGEST)
    assert good.result(LONGEST)
    with pytest.raises(RuntimeError, match="poison"):
        bad.result(LONGEST)
    batcher.close()


def test_who_left_costs_nothing(served: ServedModel) -> None:
    batcher = make(served)
    first = held(batcher, served)
    assert batcher.submit(task()).cancel()
    served.engine.go.set()
    first.result(LONGEST)
    batcher.close()
    assert served.engine.batches == [1]


def test_without_a_model_the_answer_is_an_error() -> None:
    batcher = make(None)
    with pytest.raises(NoModelError):
        batcher.submit(task()).result(LONGEST)
    batcher.close()


def test_creators_take_turns_however_much_one_has_queued(served: ServedModel) -> None:
    batcher = make(served, max_batch=1)
    first, answered = held(batcher, served), []
    for creator in ("ana", "ana", "ana", "ben", "ana"):
        ticket = batcher.submit(task(), creator=creator)
        ticket.add_done_callback(lambda _, creator=creator: answered.append(creator))
    served.engine.go.set()
    first.result(LONGEST)
    batcher.close()
    assert answered == ["ana", "ben", "ana", "ana", "ana"]


def test_closing_answers_what_is_queued(served: ServedModel) -> None:
    batcher = make(served)
    futures = [batcher.submit(task()) for _ in range(5)]
    batcher.close()
    assert all(future.done() for future in futures)


def test_the_pace_is_that_of_answers_for_which_others_wait(served: ServedModel) -> None:
    batcher = make(served, max_batch=1)
    assert batcher.expected_wait(100) == 0
    first = held(batcher, served)
    others = [batcher.submit(task()) for _ in range(4)]
    started = time.monotonic()
    served.engine.go.set()
    assert all(future.result(LONGEST) for future in [first, *others])
    took = time.monotonic() - started
    assert 0 < batcher.expected_wait(1) < took
    assert batcher.expected_wait(8) == pytest.approx(8 * batcher.expected_wait(1))
    batcher.close()


def test_what_is_too_long_for_the_model_is_no_fault_of_it(served: ServedModel) -> None:
    served.engine.write = lambda _: [PromptTooLongError("It is too long; shorten hint.", "hint")]
    faults = MODEL_ERRORS.labels(served.engine.version)
    before = faults._value.get()
    batcher = make(served)
    with pytest.raises(PromptTooLongError):
        batcher.submit(task("fog")).result(LONGEST)
    batcher.close()
    assert faults._value.get() == before
