"""Duplicate examples: pairs that were found to be alike, for the data card."""

from typing import TYPE_CHECKING, Any

from etl.place import Place
from etl.transform import columns
from etl.transform.archive.corpus import open_corpus
from etl.transform.archive.member_reader import ArchiveMember
from etl.transform.writing.card import CardPhoto, DuplicatePair

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_EXAMPLES = 4
"""Number of examples per kind."""

_SAME_PICTURE = """
SELECT one.id, other.id
FROM checked AS one JOIN assigned USING (id) JOIN checked AS other USING (image_digest)
WHERE one.id <> other.id AND other.reason IS NULL
ORDER BY one.id, other.id LIMIT $most
"""

# Only groups of two: in a larger one, two samples may be alike by way of a third.
_GROUPS_OF_TWO = """
WITH pairs AS (SELECT min(id) AS one, max(id) AS other FROM assigned GROUP BY "group" HAVING count(*) = 2)
SELECT pairs.one, pairs.other
FROM pairs JOIN checked AS a ON a.id = pairs.one JOIN checked AS b ON b.id = pairs.other
WHERE coalesce(a.caption_digest = b.caption_digest, false) = $same_words
ORDER BY pairs.one LIMIT $most
"""


def find_duplicate_examples(connection: "DuckDBPyConnection", corpus: Place) -> list[tuple[str, list[DuplicatePair]]]:
    """Return some pairs that were found to be duplicates, under one heading per kind.

    *connection* has the views ``checked`` (the results for each pair) and ``assigned`` (the kept samples with
    their groups).
    """
    kinds = [
        ("The same picture: one is kept", _SAME_PICTURE, {}),
        ("Nearly the same picture: both in one split", _GROUPS_OF_TWO, {"same_words": False}),
        ("The same words: both in one split", _GROUPS_OF_TWO, {"same_words": True}),
    ]
    found = []
    with open_corpus(corpus) as archive:
        for heading, query, parameters in kinds:
            ids = connection.execute(query, {**parameters, "most": _EXAMPLES}).fetchall()
            posts = _posts(connection, [id_ for pair in ids for id_ in pair])
            shown = {
                id_: CardPhoto(ArchiveMember(*place).read(archive), caption, tuple(tags))
                for id_, caption, tags, *place in posts
            }
            found.append((heading, [(shown[one], shown[other]) for one, other in ids]))
    return found


def _posts(connection: "DuckDBPyConnection", ids: list[str]) -> list[tuple[Any, ...]]:
    place = ", ".join(columns.places("image"))
    # Only our own column names are interpolated.
    query = f"SELECT id, caption, hashtags, {place} FROM checked WHERE list_contains($ids, id)"  # noqa: S608
    return connection.execute(query, {"ids": ids}).fetchall() if ids else []
