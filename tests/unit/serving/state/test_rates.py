import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from limits import RateLimitItemPerHour, RateLimitItemPerSecond
from limits.strategies import SlidingWindowCounterRateLimiter
from pydantic import SecretStr

from serving.settings import ServingSettings
from serving.state.database import Database
from serving.state.opening import open_database
from serving.state.rates import DatabaseRates
from serving.state.tables import Section

pytestmark = [pytest.mark.unit, pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)]

HOURLY = RateLimitItemPerHour(20)


@pytest.fixture
def database(database_url: SecretStr) -> Database:
    return open_database(ServingSettings(database_url=database_url), Section.RATES)


def limiter(database: Database) -> SlidingWindowCounterRateLimiter:
    return SlidingWindowCounterRateLimiter(DatabaseRates(database))


def test_replicas_count_together_and_never_beyond_the_limit(database: Database) -> None:
    replicas = [limiter(database) for _ in range(3)]
    with ThreadPoolExecutor(6) as pool:
        admitted = list(pool.map(lambda n: replicas[n % 3].hit(HOURLY, "ana"), range(60)))
    assert sum(admitted) == 20
    assert [replica.get_window_stats(HOURLY, "ana").remaining for replica in replicas] == [0, 0, 0]
    assert not replicas[0].test(HOURLY, "ana")
    assert replicas[0].hit(HOURLY, "ben", cost=20)
    assert not replicas[1].hit(HOURLY, "ben")
    replicas[2].clear(HOURLY, "ben")
    assert replicas[1].get_window_stats(HOURLY, "ben").remaining == 20


def test_there_is_room_again_as_time_goes_by(database: Database) -> None:
    item, rates = RateLimitItemPerSecond(10), limiter(database)
    began = time.time()
    admitted = 0
    while time.time() < began + 2.2:
        admitted += rates.hit(item, "ana")
    taken = time.time() - began
    # Ten a second, and for the first one all at once.
    assert 20 <= admitted <= 10 * (taken + 2)
