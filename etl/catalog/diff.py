"""Difference between two dataset versions: by reason, city, hashtag and split, with examples."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import JsonValue

from etl.catalog.records import fetch_records
from etl.transform.working_tables import open_database, view
from snap2caption.datasets.manifest import SPLITS, Manifest, Split
from snap2caption.datasets.version import DatasetVersion
from snap2caption.formats.documents import FrozenModel

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

EXAMPLES = 12
"""Examples of each kind of change. More would make a page that is slow to fetch and to read."""
HASHTAGS = 20
"""Hashtags that are named: those whose number of posts changed most."""

ChangeKind = Literal["added", "removed", "moved", "recaptioned", "regrouped", "rephotographed"]
KINDS: tuple[ChangeKind, ...] = ("added", "removed", "moved", "recaptioned", "regrouped", "rephotographed")
"""Kinds of changes of a sample.

It is in one version alone, or in another split, or has other words or hashtags, another city or group, or other bytes
of its photo. A sample can have several.
"""

_PLACE = ("shard", "offset", "size", "crc")

# A sample is identified by its id. `city` of a sample that stays is its later one.
_PAIRS = """
CREATE TABLE pairs AS
SELECT id, one.split AS before, other.split AS after, coalesce(other.city, one.city) AS city,
    one.id IS NULL AS added,
    other.id IS NULL AS removed,
    coalesce(one.split <> other.split, false) AS moved,
    coalesce(one.caption <> other.caption OR one.hashtags <> other.hashtags, false) AS recaptioned,
    coalesce(one.city <> other.city, false) AS regrouped,
    coalesce(one.crc <> other.crc OR one.size <> other.size, false) AS rephotographed
FROM one FULL JOIN other USING (id)
"""

_COUNTS = "SELECT city, coalesce(after, before), count(*) FROM pairs WHERE {kind} GROUP BY ALL ORDER BY ALL"

_MOVES = "SELECT before, after, count(*) FROM pairs WHERE moved GROUP BY ALL ORDER BY ALL"

_TAGS = """
CREATE TABLE tags AS
SELECT tag, coalesce(a.posts, 0) AS before, coalesce(b.posts, 0) AS after
FROM (SELECT unnest(hashtags) AS tag, count(*) AS posts FROM one GROUP BY tag) AS a
FULL JOIN (SELECT unnest(hashtags) AS tag, count(*) AS posts FROM other GROUP BY tag) AS b USING (tag)
"""

_TOP_TAGS = """
SELECT tag, before, after FROM tags WHERE before <> after ORDER BY abs(after - before) DESC, tag LIMIT $most
"""

_TAG_COUNTS = "SELECT count(*) FILTER (before = 0), count(*) FILTER (after = 0) FROM tags"

# Chosen by a hash, so that they are a fair sample, and the same ones again.
_EXAMPLES = """
SELECT id FROM pairs WHERE {kind} ORDER BY sha256(id), id LIMIT $most
"""

_ROWS = """
SELECT id, split, city, caption, hashtags, shard, "offset", size, crc FROM {side} WHERE list_contains($ids, id)
"""


class Change(FrozenModel):
    """A number in both versions."""

    before: int
    after: int


class HashtagChange(Change):
    """The number of posts with a hashtag in both versions."""

    tag: str


class ChangedSamples(FrozenModel):
    """How many samples changed in one way, in total and by city and split (the later one if it has both)."""

    samples: int
    cities: dict[str, int]
    splits: dict[Split, int]


class Move(FrozenModel):
    """How many samples are in another split."""

    before: Split
    after: Split
    samples: int


class ExampleSide(FrozenModel):
    """A sample in one of the versions, with the place of its photo."""

    split: Split
    city: str
    caption: str
    hashtags: tuple[str, ...]
    shard: str
    offset: int
    size: int
    crc: int


class ChangedExample(FrozenModel):
    """A changed sample; a side is None if that version lacks it."""

    id: str
    before: ExampleSide | None
    after: ExampleSide | None


class VersionSummary(FrozenModel):
    """A version's name and place."""

    version: str
    uri: str
    corpus: str
    """The SHA-256 of its corpus."""


class VersionDiff(FrozenModel):
    """What changed from one version to another."""

    before: VersionSummary
    after: VersionSummary
    settings: dict[str, tuple[JsonValue, JsonValue]]
    """The settings that differ."""
    splits: dict[Split, Change]
    cities: dict[str, dict[Split, Change]]
    dropped: dict[str, Change]
    """Samples that were left out, by reason."""
    changes: dict[ChangeKind, ChangedSamples]
    moves: tuple[Move, ...]
    hashtags: tuple[HashtagChange, ...]
    """Those that changed most."""
    new_hashtags: int
    lost_hashtags: int
    examples: dict[ChangeKind, tuple[ChangedExample, ...]]


def diff(one: DatasetVersion, other: DatasetVersion) -> VersionDiff:
    """Compare version *one* with a later version *other*. No shard is read if both have record tables.

    The tables are on disk while they are compared, in the system's folder for temporary files.

    Raises:
        UserError: a version was withdrawn or is damaged, a store is unavailable, or the disk is full.
    """
    with tempfile.TemporaryDirectory(prefix="snap2caption-diff-") as scratch:
        folder = Path(scratch)
        tables = [fetch_records(dataset, folder / name) for dataset, name in ((one, "one"), (other, "other"))]
        with open_database(folder, max(_count_samples(one), _count_samples(other))) as connection:
            for name, files in zip(("one", "other"), tables, strict=True):
                _open_side(connection, name, files)
            connection.execute(_PAIRS)
            connection.execute(_TAGS)
            new, lost = connection.execute(_TAG_COUNTS).fetchall()[0]
            return VersionDiff(
                before=_summary(one),
                after=_summary(other),
                settings=_settings(one.manifest, other.manifest),
                splits={split: _split_change(one.manifest, other.manifest, split) for split in SPLITS},
                cities=_cities(one.manifest, other.manifest),
                dropped=_dropped(one.manifest, other.manifest),
                changes={kind: _count(connection, kind) for kind in KINDS},
                moves=tuple(
                    Move(before=before, after=after, samples=count)
                    for before, after, count in connection.execute(_MOVES).fetchall()
                ),
                hashtags=tuple(
                    HashtagChange(tag=tag, before=before, after=after)
                    for tag, before, after in connection.execute(_TOP_TAGS, {"most": HASHTAGS}).fetchall()
                ),
                new_hashtags=new,
                lost_hashtags=lost,
                examples={kind: _examples(connection, kind) for kind in KINDS},
            )


def _open_side(connection: "DuckDBPyConnection", name: str, files: dict[Split, Path]) -> None:
    for split, file in files.items():
        view(connection, f"{name}_{split}", file)
    # The names are ours.
    parts = " UNION ALL ".join(f"SELECT '{split}' AS split, * FROM {name}_{split}" for split in files)  # noqa: S608
    connection.execute(f"CREATE VIEW {name} AS {parts}")


def _count_samples(dataset: DatasetVersion) -> int:
    return sum(split.samples for split in dataset.manifest.splits.values())


def _summary(dataset: DatasetVersion) -> VersionSummary:
    return VersionSummary(version=dataset.manifest.version, uri=dataset.uri, corpus=dataset.manifest.source.sha256)


def _settings(one: Manifest, other: Manifest) -> dict[str, tuple[JsonValue, JsonValue]]:
    names = sorted(one.settings.keys() | other.settings.keys())
    pairs = {name: (one.settings.get(name), other.settings.get(name)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _split_change(one: Manifest, other: Manifest, split: Split) -> Change:
    before, after = (manifest.splits[split].samples if split in manifest.splits else 0 for manifest in (one, other))
    return Change(before=before, after=after)


def _cities(one: Manifest, other: Manifest) -> dict[str, dict[Split, Change]]:
    names = {city for manifest in (one, other) for summary in manifest.splits.values() for city in summary.cities}

    def count(manifest: Manifest, split: Split, city: str) -> int:
        return manifest.splits[split].cities.get(city, 0) if split in manifest.splits else 0

    return {
        city: {split: Change(before=count(one, split, city), after=count(other, split, city)) for split in SPLITS}
        for city in sorted(names)
    }


def _dropped(one: Manifest, other: Manifest) -> dict[str, Change]:
    reasons = sorted(one.dropped.keys() | other.dropped.keys())
    return {reason: Change(before=one.dropped.get(reason, 0), after=other.dropped.get(reason, 0)) for reason in reasons}


def _count(connection: "DuckDBPyConnection", kind: ChangeKind) -> ChangedSamples:
    cities: dict[str, int] = {}
    splits: dict[Split, int] = {}
    for city, split, count in connection.execute(_COUNTS.format(kind=kind)).fetchall():
        cities[city] = cities.get(city, 0) + count
        splits[split] = splits.get(split, 0) + count
    return ChangedSamples(samples=sum(splits.values()), cities=cities, splits=splits)


def _examples(connection: "DuckDBPyConnection", kind: ChangeKind) -> tuple[ChangedExample, ...]:
    found = connection.execute(_EXAMPLES.format(kind=kind), {"most": EXAMPLES}).fetchall()
    ids = [id_ for (id_,) in found]
    before, after = (_sides(connection, side, ids) for side in ("one", "other"))
    return tuple(ChangedExample(id=id_, before=before.get(id_), after=after.get(id_)) for id_ in ids)


def _sides(connection: "DuckDBPyConnection", side: str, ids: list[str]) -> dict[str, ExampleSide]:
    if not ids:
        return {}
    names = ("split", "city", "caption", "hashtags", *_PLACE)
    rows = connection.execute(_ROWS.format(side=side), {"ids": ids}).fetchall()
    return {id_: ExampleSide.model_validate(dict(zip(names, values, strict=True))) for id_, *values in rows}
