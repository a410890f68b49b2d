import pytest
from hypothesis import given
from hypothesis import strategies as st

from snap2caption.hashtags import normalise
from snap2caption.hashtags.banned import read_banned
from snap2caption.hashtags.ranking import FALLBACK, Source, Subject, rank
from snap2caption.hashtags.table import HashtagTable

pytestmark = pytest.mark.unit

BANNED = read_banned()


def row(tag: str, count: int, companions: dict[str, int], cities: dict[str, int] | None = None) -> dict[str, object]:
    return {
        "tag": tag,
        "count": count,
        "cities": [{"city": city, "count": used} for city, used in (cities or {"newyork": count}).items()],
        "with": [{"tag": other, "count": used} for other, used in companions.items()],
    }


TABLE = HashtagTable.from_rows(
    [
        row("instagood", 900, {"sf": 50, "nyc": 50}, {"newyork": 450, "sanfrancisco": 450}),
        row("sf", 100, {"goldengate": 40, "instagood": 50}, {"sanfrancisco": 100}),
        row("nyc", 100, {"brooklyn": 40, "instagood": 50}),
        row("goldengate", 45, {"sf": 40}, {"sanfrancisco": 45}),
        row("brooklyn", 45, {"nyc": 40}),
    ]
)


def tags(caption: str, written: list[str], number: int, table: HashtagTable = TABLE, place: str = "") -> list[str]:
    return [one.tag for one in rank(Subject(caption, written, place), table, BANNED, number)]


@given(st.text(max_size=60), st.lists(st.text(max_size=12), max_size=12), st.integers(1, 30))
def test_always_the_number_asked_for_valid_unique_and_none_banned(
    caption: str, written: list[str], number: int
) -> None:
    chosen = tags(caption, written, number)
    assert len(chosen) == len(set(chosen)) == number
    assert all(normalise(tag) == tag for tag in chosen)
    assert not BANNED & set(chosen)


def test_fewer_hashtags_are_the_best_of_more() -> None:
    assert tags("The golden gate", ["sf"], 5) == tags("The golden gate", ["sf"], 20)[:5]


def test_what_the_model_wrote_comes_first_in_its_order() -> None:
    assert tags("A bridge", ["Sunset", "#SF"], 2, HashtagTable.from_rows([])) == ["sunset", "sf"]


def test_the_rest_goes_with_them() -> None:
    chosen = tags("", ["sf"], 3)
    assert set(chosen) == {"sf", "goldengate", "instagood"}


def test_hashtags_of_another_city_come_last() -> None:
    both = {"chicago": 50, "newyork": 50}
    table = HashtagTable.from_rows(
        [
            row("sunset", 100, {"nyc": 45, "chitown": 30, "sky": 20}, both),
            row("sky", 100, {"sunset": 20}, both),
            row("nyc", 50, {"sunset": 45}, {"newyork": 50}),
            row("chitown", 50, {"sunset": 30}, {"chicago": 50}),
        ]
    )
    # In the corpus, sunsets go with New York most; this one is in Chicago.
    assert "nyc" not in tags("Chitown again", ["sunset"], 3, table)
    assert tags("", ["sunset"], 2, table) == ["sunset", "nyc"]


def test_even_the_model_is_not_believed_against_the_caption() -> None:
    table = HashtagTable.from_rows(
        [
            row("chitown", 100, {}, {"chicago": 100}),
            row("newyork", 100, {"brooklyn": 30}),
            row("brooklyn", 40, {"newyork": 30}),
        ]
    )
    assert tags("In Brooklyn, New York", ["chitown", "brooklyn"], 3, table) == ["brooklyn", "newyork", "chitown"]


def test_words_of_the_caption_and_the_place_count() -> None:
    assert tags("The golden gate again", [], 2) == ["goldengate", "sf"]
    assert tags("Again", [], 2, place="Golden Gate") == ["goldengate", "sf"]


def test_a_second_one_of_the_same_company_yields_to_a_different_one() -> None:
    table = HashtagTable.from_rows(
        [row("sea", 100, {"ocean": 95}), row("ocean", 100, {"sea": 95}), row("dog", 100, {"sea": 1})]
    )
    assert tags("", ["sea", "ocean", "dog"], 3, table) == ["sea", "dog", "ocean"]


@pytest.mark.parametrize(("one", "other"), [("dog", "dogs"), ("city", "cities"), ("beach", "beaches")])
def test_no_hashtag_comes_in_both_numbers(one: str, other: str) -> None:
    assert not {one, other} <= set(tags("", [one, other], 8))
    assert not {one, other} <= set(tags("", [other, one], 8))


def test_each_says_why() -> None:
    found = {one.tag: one for one in rank(Subject("Golden gate", ["sf"], "NYC today"), TABLE, BANNED, 8)}
    assert found["sf"].source is Source.MODEL
    assert found["goldengate"].source is Source.CAPTION
    assert found["instagood"].why == "Often used with #sf, very popular: wide reach, much competition."
    assert found["photooftheday"].why == "Suits any photo."
    assert all(0 <= one.relevance <= 1 and 0 <= one.reach <= 1 for one in found.values())


def test_the_fallback_is_usable() -> None:
    assert len(FALLBACK) >= 30
    assert not set(FALLBACK) & BANNED
