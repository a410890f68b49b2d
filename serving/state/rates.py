"""Storage of rate limits (`limits`) in the database of all replicas, so that a creator has one rate over all."""

import time

from limits.storage import SlidingWindowCounterSupport, Storage
from sqlalchemy import ColumnElement, delete, func, literal, select

from serving.state.database import Database, StateError
from serving.state.tables import rates

_TIDY_SECONDS = 60.0


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
        room = limit - amount
        before = func.floor(_hits(key, window - 1) * weight)
        values = {"key": key, "window": window, "hits": amount, "expires": (window + 2) * expiry}
        columns = [rates.c[name] for name in values]
        new = select(*(literal(value, column.type) for value, column in zip(values.values(), columns, strict=True)))
        counted = self._database.insert(rates).from_select(columns, new.where(before <= room))
        counted = counted.on_conflict_do_update(
            index_elements=["key", "window"],
            set_={"hits": rates.c.hits + amount},
            where=func.floor(_hits(key, window - 1) * weight + rates.c.hits) <= room,
        )
        with self._database.single_statement() as connection:
            admitted = connection.execute(counted.returning(rates.c.hits)).first() is not None
        self._tidy(now)
        return admitted

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """Return the hits of the previous window and its remaining seconds, then the same of the current one."""
        now = time.time()
        window, rest = int(now / expiry), (1 - (now / expiry) % 1) * expiry
        query = select(_hits(key, window - 1), _hits(key, window))
        with self._database.single_statement() as connection:
            previous, current = connection.execute(query).one()
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


def _hits(key: str, window: int) -> ColumnElement[int]:
    """Return how often *key* was hit in a window, as an expression."""
    table = rates.alias()
    counted = select(table.c.hits).where(table.c.key == key, table.c.window == window)
    return func.coalesce(counted.scalar_subquery(), 0)
