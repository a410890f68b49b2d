import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.ranking import FALLBACK, HashtagTable, banned, rank
from snap2caption.hashtags import normalise

pytestmark = pytest.mark.unit

CITIES = {"sf": "sanfrancisco", "goldengate": "sanfrancisco", "nyc": "newyork", "brooklyn": "newyork"}
COUNTS = [
    {"tag": "sf", "count": 100, "with": [{"tag": "goldengate", "count": 40}, {"tag": "instagood", "count": 50}]},
    {"tag": "nyc", "count": 100, "with": [{"tag": "brooklyn", "count": 40}, {"tag": "instagood", "count": 50}]},
    {"tag": "goldengate", "count": 45, "with": [{"tag": "sf", "count": 40}]},
    {"tag": "brooklyn", "count": 45, "with": [{"tag": "nyc", "count": 40}]},
    {"tag": "instagood", "count": 900, "with": [{"tag": "sf", "count": 50}, {"tag": "nyc", "count": 50}]},
]
ROWS = [row | {"cities": [{"city": CITIES.get(row["tag"], "newyork"), "count": row["count"]}]} for row in COUNTS]
TABLE = HashtagTable.from_rows(ROWS)


@given(st.text(max_size=60), st.lists(st.text(max_size=12), max_size=12), st.integers(1, 30))
def test_always_the_number_asked_for_valid_unique_and_none_banned(
    caption: str, written: list[str], number: int
) -> None:
    tags = rank(caption, written, TABLE, number)
    assert len(tags) == len(set(tags)) == number
    assert all(normalise(tag) == tag for tag in tags)
    assert not banned() & set(tags)


def test_the_model_s_own_come_first() -> None:
    assert rank("A bridge", ["Sunset", "#SF"], TABLE, 2) == ["sunset", "sf"]


def test_the_rest_goes_with_them() -> None:
    tags = rank("", ["sf"], TABLE, 3)
    assert tags[1] == "goldengate"
    assert "brooklyn" not in tags


def test_hashtags_of_another_city_come_last() -> None:
    def row(tag: str, cities: dict[str, int], companions: dict[str, int]) -> dict[str, object]:
        return {
            "tag": tag,
            "count": sum(cities.values()),
            "cities": [{"city": city, "count": count} for city, count in cities.items()],
            "with": [{"tag": other, "count": count} for other, count in companions.items()],
        }

    both = {"chicago": 50, "newyork": 50}
    table = HashtagTable.from_rows(
        [
            row("sunset", both, {"nyc": 45, "chitown": 30, "sky": 20}),
            row("nyc", {"newyork": 50}, {"sunset": 45}),
            row("chitown", {"chicago": 50}, {"sunset": 30}),
            row("sky", both, {"sunset": 20}),
        ]
    )
    # In the corpus, sunsets go with New York most; this one is in Chicago.
    assert rank("Chitown again", ["sunset"], table, 4)[:3] == ["sunset", "chitown", "sky"]
    assert rank("", ["sunset"], table, 2)[1] == "nyc"


def test_words_of_the_caption_count() -> None:
    assert rank("The golden gate again", [], TABLE, 2) == ["goldengate", "sf"]


def test_plural_and_banned_ones_are_left_out() -> None:
    some_banned = sorted(banned())[0]
    tags = rank("", ["dog", "dogs", some_banned], TABLE, 5)
    assert "dog" in tags
    assert not {"dogs", some_banned} & set(tags)


def test_the_fallback_is_usable() -> None:
    assert len(FALLBACK) >= 30
    assert not set(FALLBACK) & banned()
