from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.transform import bucket_sort
from etl.transform.working_tables import open_database, view
from etl.transform.writing import tables

pytestmark = pytest.mark.unit

Post = tuple[str, list[str]]
POSTS = st.lists(st.tuples(st.sampled_from("AB"), st.lists(st.sampled_from("abcdefghéß漢"), unique=True)), min_size=1)


def table_of(posts: list[Post], folder: Path) -> list[dict[str, Any]]:
    cities, hashtags = zip(*posts, strict=True)
    columns = {"city": pa.array(cities), "hashtags": pa.array(hashtags, pa.list_(pa.string()))}
    pq.write_table(pa.table(columns), folder / "train.parquet")
    with open_database(folder) as connection:
        view(connection, "train", folder / "train.parquet")
        tables.write_hashtags(connection, folder / "hashtags.parquet", folder / "buckets")
    rows: list[dict[str, Any]] = pq.read_table(folder / "hashtags.parquet").to_pylist()
    return rows


def counted(posts: list[Post]) -> list[dict[str, Any]]:
    """Say the same in plain Python."""
    counts = Counter(tag for _, tags in posts for tag in tags)
    order = sorted(counts, key=lambda tag: (-counts[tag], tag))
    rows = []
    for tag in order:
        having = [(city, tags[: tables._MOST]) for city, tags in posts if tag in tags]
        cities = Counter(city for city, _ in having)
        companions = Counter(other for _, tags in having if tag in tags for other in tags if other != tag)
        nearest = sorted(companions, key=lambda other: (-companions[other], order.index(other)))[: tables.COMPANIONS]
        rows.append(
            {
                "tag": tag,
                "count": counts[tag],
                "cities": [
                    {"city": city, "count": cities[city]}
                    for city in sorted(cities, key=lambda city: (-cities[city], city))
                ],
                "with": [{"tag": other, "count": companions[other]} for other in nearest],
            }
        )
    return rows


@given(
    posts=POSTS,
    pairs=st.sampled_from([1, 5, 1000]),
    parts=st.sampled_from([2, 200]),
    most=st.sampled_from([2, 30]),
    nearest=st.sampled_from([2, 20]),
)
@settings(max_examples=25, deadline=None)
def test_the_table_is_the_plain_count_however_it_is_parted(
    tmp_path_factory: pytest.TempPathFactory, posts: list[Post], pairs: int, parts: int, most: int, nearest: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("_PAIRS", pairs), ("_MAX_PARTS", parts), ("_MOST", most), ("COMPANIONS", nearest)):
            patch.setattr(tables, name, value)
        assert table_of(posts, tmp_path_factory.mktemp("tables")) == counted(posts)


def test_many_pairs_have_a_bounded_number_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def partitioned(found: Any, number: int, folder: Path) -> Any:
        seen.append(number)
        return bucket_sort.partitioned(found, number, folder)

    monkeypatch.setattr(tables, "partitioned", partitioned)
    monkeypatch.setattr(tables, "_PAIRS", 10)
    monkeypatch.setattr(tables, "_MAX_PARTS", 7)
    posts = [("A", list("abcdefgh"))] * 50
    assert table_of(posts, tmp_path) == counted(posts)
    assert 2 <= seen[0] <= 7


def test_the_tags_of_a_hostile_caption_make_no_square(tmp_path: Path) -> None:
    many = [f"tag{number:05d}" for number in range(5000)]
    rows = table_of([("A", many)], tmp_path)
    assert [row["tag"] for row in rows] == many
    assert len(rows[0]["with"]) == tables.COMPANIONS
    assert rows[-1]["with"] == []
