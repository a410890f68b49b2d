"""Spooled record facts: those of all records, on disk, so that a report's memory does not grow with them."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from etl.feedback.record_facts import RecordFacts
from etl.feedback.records import id_of
from snap2caption.feedback import Reason
from snap2caption.post import Tone
from snap2caption.temporary_database import open_temporary_database

_CREATE = """
    CREATE TABLE facts (
        key TEXT, id TEXT, received REAL, creator TEXT, caption TEXT, rating INTEGER, reason TEXT, flagged INTEGER,
        edited INTEGER, distance REAL, version TEXT, tone TEXT
    )
    """
_INSERT = "INSERT INTO facts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

# Each is on one caption, or on no caption that is known. Those on the same one are next to each other, the latest first.
_RATED_ONCE = """
    SELECT received, creator, caption,
        CASE WHEN caption IS NULL OR rating IS NULL
            OR row_number() OVER (PARTITION BY caption, rating IS NULL ORDER BY received DESC, id DESC) = 1
        THEN rating END,
        reason, flagged, edited, distance, version, tone
    FROM facts
    """
_EDITS = "SELECT key FROM facts WHERE edited ORDER BY received DESC, key LIMIT ?"


class SpooledFacts:
    """The facts about records, in a temporary file."""

    def __init__(self, facts: Iterable[tuple[str, RecordFacts]]) -> None:
        """Write *facts*, which come with the key of their record."""
        self._database = open_temporary_database()
        self._database.execute(_CREATE)
        self._database.executemany(_INSERT, (_row(key, one) for key, one in facts))

    def close(self) -> None:
        """Remove the file."""
        self._database.close()

    def rated_once(self) -> Iterator[RecordFacts]:
        """Yield the facts with one rating per creator and caption, the latest.

        Earlier feedback keeps its other content.
        """
        for (
            received,
            creator,
            caption,
            rating,
            reason,
            flagged,
            edited,
            distance,
            version,
            tone,
        ) in self._database.execute(_RATED_ONCE):
            yield RecordFacts(
                received=datetime.fromtimestamp(received, UTC),
                creator=creator,
                caption=caption,
                rating=rating,
                reason=None if reason is None else Reason(reason),
                flagged=bool(flagged),
                edited=bool(edited),
                distance=distance,
                version=version,
                tone=None if tone is None else Tone(tone),
            )

    def creators(self) -> int:
        """Return the number of creators."""
        (count,) = self._database.execute("SELECT count(DISTINCT creator) FROM facts").fetchone()
        return int(count)

    def newest_edits(self, number: int) -> list[str]:
        """Return the keys of the newest edits, at most *number*, the newest first."""
        return [key for (key,) in self._database.execute(_EDITS, (number,))]


def _row(key: str, one: RecordFacts) -> tuple[object, ...]:
    return (
        key,
        id_of(key),
        one.received.timestamp(),
        one.creator,
        one.caption,
        one.rating,
        one.reason,
        one.flagged,
        one.edited,
        one.distance,
        one.version,
        one.tone,
    )
