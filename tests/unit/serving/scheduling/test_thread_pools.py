import asyncio
import threading
from collections.abc import Iterator

import pytest
from patience import LONGEST, until

from serving.scheduling.thread_pools import BoundedThreadPool, PoolBusyError

pytestmark = pytest.mark.unit


@pytest.fixture
def pool() -> Iterator[BoundedThreadPool]:
    pool = BoundedThreadPool("test", 2, waiting=1)
    yield pool
    pool.close()


def test_a_full_pool_refuses_at_once_and_takes_work_again(pool: BoundedThreadPool) -> None:
    go = threading.Event()

    async def ask() -> None:
        inside = [asyncio.create_task(pool.run(go.wait, LONGEST)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(PoolBusyError):
            await pool.run(str, 1)
        go.set()
        assert await asyncio.gather(*inside) == [True] * 3
        assert await pool.run(str, 1) == "1"

    asyncio.run(ask())


def test_who_waits_no_longer_leaves_the_thread_its_place(pool: BoundedThreadPool) -> None:
    go, ended = threading.Event(), []

    def hang() -> None:
        go.wait(LONGEST)
        ended.append(1)

    async def ask() -> None:
        for _ in range(2):
            with pytest.raises(PoolBusyError):
                await pool.run(hang, seconds=0.01)
        # Work that has not started is dropped, and its place is free again.
        for _ in range(2):
            with pytest.raises(PoolBusyError):
                await pool.run(hang, seconds=0.01)
        go.set()
        assert await pool.run(str, 1) == "1"

    asyncio.run(ask())
    until(lambda: len(ended) == 2)


def test_what_the_work_raises_is_raised(pool: BoundedThreadPool) -> None:
    with pytest.raises(ZeroDivisionError):
        asyncio.run(pool.run(divmod, 1, 0))
