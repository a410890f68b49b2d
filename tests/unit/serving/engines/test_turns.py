import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from patience import LONGEST, until

from serving.engines.turns import Turns

pytestmark = pytest.mark.unit


def test_requests_of_one_kind_run_at_the_same_time() -> None:
    turns, both = Turns(), threading.Barrier(2, timeout=LONGEST)

    def run(_: int) -> None:
        with turns.take("caption"):
            both.wait()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, range(2)))


def test_kinds_never_mix_and_nobody_starves() -> None:
    turns, running, guard = Turns(), {"caption": 0, "description": 0}, threading.Lock()
    mixed = []

    def run(kind: str) -> None:
        with turns.take(kind):
            with guard:
                running[kind] += 1
                mixed.append(all(running.values()))
            with guard:
                running[kind] -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(run, ["caption", "caption", "description"] * 200))
    assert len(mixed) == 600
    assert not any(mixed)


def test_a_newcomer_waits_behind_the_other_kind() -> None:
    turns, order = Turns(), []

    def run(kind: str) -> None:
        with turns.take(kind):
            order.append(kind)

    with ThreadPoolExecutor(2) as pool, turns.take("caption"):
        for kind in ("description", "caption"):
            pool.submit(run, kind)
            until(lambda kind=kind: turns._waiting[kind])
    assert order == ["description", "caption"]
