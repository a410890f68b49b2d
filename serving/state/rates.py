"""Storage of rate limits (`limits`) in the database of all replicas, so that a creator has one rate over all."""

import time

from limits.storage import SlidingWindowCounterSupport, Storage
from sqlalchemy import BigInteger, ColumnElement, Double, bindparam, delete, func, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql.dml import ReturningInsert

from serving.state.database import Database, StateError
from serving.state.tables import rates

_TIDY_SECONDS = 60.0

_PARAMETERS = {name: bindparam(name, type_=rates.c[name].type) for name in ("key", "window", "hits", "expires")}


def _hits(before: int) -> ColumnElement[int]:
    """Return how often the key was hit in the window that is so many *before* the current one, as an expression."""
    table = rates.alias()
    window = table.c.window == _PARAMETERS["window"] - before
    return func.coalesce(select(table.c.hits).where(table.c.key == _PARAMETERS["key"], window).scalar_subquery(), 0)


def _count() -> ReturningInsert[tuple[int]]:
    """Return the statement that counts hits if there is ``room`` beside those of the sliding window."""
    previous = _hits(1) * bindparam("weight", type_=Double)
    room = bindparam("room", type_=BigInteger)
    first = select(*_PARAMETERS.values()).where(func.floor(previous) <= room)
    counted = postgresql.insert(rates).from_select(list(_PARAMETERS), first)
    more = counted.on_conflict_do_update(
        index_elements=["key", "window"],
        set_={"hits": rates.c.hits + counted.excluded.hits},
        where=func.floor(previous + rates.c.hits) <= room,
    )
    return more.returning(rates.c.hits)


# Built once: to build them takes longer than to run them.
_COUNT, _READ = _count(), select(_hits(1), _hits(0))


class DatabaseRates(Storage, SlidingWindowCounterSupport):
    """Sliding window counters in *database*: a row for each key and window. Methods block."""

    STORAGE_SCHEME = None

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database
        self._tidied = time.monotonic()

    def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count *amount* hits of *key* if the limit leaves room for them, and return whether it does.

        One statement checks and counts, so that no two replicas use the same room.
        """
        now = time.time()
        window, weight = int(now / expiry), 1 - (now / expiry) % 1
        values = {"key": key, "window": window, "hits": amount, "expires": (window + 2) * expiry}
        with self._database.single_statement() as connection:
            counted = connection.execute(_COUNT, values | {"weight": weight, "room": limit - amount})
            admitted = counted.first() is not None
        self._tidy(now)
        return admitted

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """Return the hits of the previous window and its remaining seconds, then the same of the current one."""
        now = time.time()
        window, rest = int(now / expiry), (1 - (now / expiry) % 1) * expiry
        with self._database.single_statement() as connection:
            previous, current = connection.execute(_READ, {"key": key, "window": window}).one()
        return int(previous), rest if previous else 0.0, int(current), rest + expiry

    def clear_sliding_window(self, key: str, expiry: int) -> None:  # noqa: ARG002 - all windows are cleared
        """Forget the hits of *key*."""
        self.clear(key)

    @property
    def base_exceptions(self) -> type[Exception]:
        """Return what the methods raise."""
        return StateError

    def check(self) -> bool:
        """Return whether the database answers."""
        try:
            self._database.check()
        except StateError:
            return False
        return True

    def clear(self, key: str) -> None:
        """Forget the hits of *key*."""
        with self._database.single_statement() as connection:
            connection.execute(delete(rates).where(rates.c.key == key))

    def reset(self) -> int:
        """Forget all hits, and return of how many windows."""
        with self._database.single_statement() as connection:
            return connection.execute(delete(rates)).rowcount

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Refuse: fixed windows are not used."""
        raise NotImplementedError

    def get(self, key: str) -> int:
        """Refuse: fixed windows are not used."""
        raise NotImplementedError

    def get_expiry(self, key: str) -> float:
        """Refuse: fixed windows are not used."""
        raise NotImplementedError

    def _tidy(self, now: float) -> None:
        if time.monotonic() - self._tidied > _TIDY_SECONDS:
            self._tidied = time.monotonic()
            with self._database.single_statement() as connection:
                connection.execute(delete(rates).where(rates.c.expires < now))
