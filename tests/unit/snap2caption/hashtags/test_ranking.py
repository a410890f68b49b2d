import pytest
from hypothesis import given
from hypothesis import strategies as st

from snap2caption.hashtags import normalize
from snap2caption.hashtags.banned import read_banned
from snap2caption.hashtags.claims import claims
from snap2caption.hashtags.ranking import FALLBACK, HashtagSource, PostContext, rank
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
    return [one.tag for one in rank(PostContext(caption, written, place), table, BANNED, number)]


@given(st.text(max_size=60), st.lists(st.text(max_size=12), max_size=12), st.integers(1, 30))
def test_no_more_than_asked_for_all_valid_and_unique(caption: str, written: list[str], number: int) -> None:
    chosen = tags(caption, written, number)
    assert min(number, 5) <= len(chosen) == len(set(chosen)) <= number
    assert all(normalize(tag) == tag for tag in chosen)
    assert not BANNED & set(chosen)


def test_words_are_found_in_scripts_without_spaces_too() -> None:
    table = HashtagTable.from_rows([row("自由女神像", 40, {}), row("दिल्ली", 40, {})])
    assert tags("和朋友一起看自由女神像的日落", [], 1, table) == ["自由女神像"]
    assert tags("शाम को दिल्ली में", [], 1, table) == ["दिल्ली"]


def test_fewer_hashtags_are_the_best_of_more() -> None:
    assert tags("The golden gate", ["sf"], 5) == tags("The golden gate", ["sf"], 20)[:5]


def test_what_the_model_wrote_comes_first_in_its_order() -> None:
    assert tags("A bridge", ["Sunset", "#SF"], 2, HashtagTable.from_rows([])) == ["sunset", "sf"]


def test_what_goes_with_them_by_more_than_chance_follows() -> None:
    assert tags("", ["instagood", "goldengate"], 3) == ["goldengate", "sf", "instagood"]


def test_what_goes_with_them_by_chance_alone_does_not_follow() -> None:
    both = {"chicago": 50, "newyork": 50}
    table = HashtagTable.from_rows(
        [
            row("instagood", 400, {"sunset": 50, "rain": 50}, {"chicago": 200, "newyork": 200}),
            row("sunset", 100, {"instagood": 50, "lake": 25}, both),
            row("lake", 100, {"sunset": 25, "pier": 60}, both),
            row("pier", 80, {"lake": 60}, both),
        ]
    )
    # A quarter of all posts are at the lake, at sunset or not.
    assert tags("", ["sunset"], 2, table) == ["sunset", "instagood"]
    assert tags("", ["lake"], 2, table) == ["lake", "pier"]


def test_what_is_in_the_city_is_not_chosen_for_the_city_alone() -> None:
    assert "goldengate" not in tags("", ["sf"], 8)


def test_even_the_model_is_not_believed_against_the_caption() -> None:
    table = HashtagTable.from_rows(
        [
            row("chitown", 100, {}, {"chicago": 100}),
            row("newyork", 100, {"brooklyn": 30}),
            row("brooklyn", 40, {"newyork": 30}),
        ]
    )
    assert tags("In Brooklyn, New York", ["chitown", "brooklyn"], 2, table) == ["brooklyn", "newyork"]
    assert "chitown" not in tags("In Brooklyn, New York", ["chitown", "brooklyn"], 8, table)
    # By what the corpus knows alone, of a place that no list has.
    table = HashtagTable.from_rows([row("pier", 9, {}, {"oldtown": 9}), row("mill", 9, {}, {"newtown": 9})])
    assert tags("At the pier", ["mill", "pier"], 1, table) == ["pier"]
    assert "mill" not in tags("At the pier", ["mill", "pier"], 8, table)


def test_words_of_the_caption_and_the_hint_count() -> None:
    assert tags("The golden gate again", [], 2) == ["goldengate", "sf"]
    assert [one.tag for one in rank(PostContext("Again", (), "", "the golden gate"), TABLE, BANNED, 1)] == [
        "goldengate"
    ]


@pytest.mark.parametrize(
    ("place", "named"),
    [
        ("Golden Gate", ["goldengate"]),
        ("Pier 39, San Francisco", ["pier39", "sanfrancisco"]),
        ("Dick's Diner", ["dicksdiner"]),
        ("Côte d’Azur", ["côtedazur"]),
        ("सूरत", ["सूरत"]),
        ("東京タワー", ["東京タワー"]),
        ("Sunset Boulevard", ["sunsetboulevard"]),
    ],
)
def test_the_place_always_counts_also_an_unknown_one(place: str, named: list[str]) -> None:
    written = ["fog", "ferry", "bay", "dawn", "pier", "boat"]
    for caption in ("Rain at noon.", f"Rain at noon, {place}."):
        assert set(tags(caption, written, len(named), place=place)) == set(named)
        assert named[0] in tags(caption, written, 5, HashtagTable.from_rows([]), place)


def test_a_place_that_is_a_description_is_no_hashtag() -> None:
    assert tags("Fog.", ["fog"], 1, place="on the way to my grandmother's house") == ["fog"]


def test_the_creators_place_counts_before_the_captions() -> None:
    chosen = tags("Golden Gate, San Francisco", ["goldengate", "sf", "bridge"], 8, place="Tokyo")
    assert chosen[:2] == ["tokyo", "bridge"]
    assert not {"sf", "goldengate", "sanfrancisco"} & set(chosen)
    assert set(tags("Golden Gate", ["sf"], 3, place="USA")) == {"usa", "sf", "goldengate"}


@pytest.mark.parametrize(
    ("caption", "wrong"),
    [
        (
            "Rain at noon in New York",
            ["snow", "sunset", "nightphotography", "sanfrancisco", "clearskies", "foggymorning"],
        ),
        ("Under falling snow", ["summervibes", "rainyday", "bluesky"]),
        ("Summer in Berlin", ["winterwonderland", "letitsnow", "paris", "autumnleaves"]),
        ("Schnee am Abend, abends in München", ["rainyday", "midday", "berlin"]),
        ("東京の夜", ["sunset", "osaka", "daylight"]),
        ("Noche de lluvia", ["sunny", "snowday"]),
    ],
)
def test_no_hashtag_contradicts_the_caption(caption: str, wrong: list[str]) -> None:
    assert not set(wrong) & set(tags(caption, [*wrong, "walk"], 30))


def test_no_hashtag_contradicts_another() -> None:
    assert tags("What a day", ["snow", "sunset", "nightphotography", "rain", "summer"], 2) == ["snow", "sunset"]
    assert not {"nightphotography", "rain", "summer"} & set(
        tags("", ["snow", "sunset", "nightphotography", "rain", "summer"], 30)
    )


def test_a_second_one_of_its_kind_yields_to_another() -> None:
    table = HashtagTable.from_rows(
        [row("sea", 100, {"ocean": 95}), row("ocean", 100, {"sea": 95}), row("dog", 100, {"sea": 1})]
    )
    assert tags("", ["sea", "ocean", "dog"], 3, table) == ["sea", "dog", "ocean"]


@pytest.mark.parametrize(("one", "other"), [("dog", "dogs"), ("city", "cities"), ("beach", "beaches")])
def test_no_hashtag_comes_in_both_numbers(one: str, other: str) -> None:
    assert not {one, other} <= set(tags("", [one, other], 8))
    assert not {one, other} <= set(tags("", [other, one], 8))


def test_each_says_why() -> None:
    found = {one.tag: one for one in rank(PostContext("Golden gate", ["sf"], "Pier 39"), TABLE, BANNED, 8)}
    assert found["sf"].source is HashtagSource.MODEL
    assert found["goldengate"].source is HashtagSource.CAPTION
    assert found["pier39"].why == "Names the place, hardly used: little reach, no competition."
    assert found["photooftheday"].why == "Suits any photo."
    assert all(0 <= one.relevance <= 1 and 0 <= one.reach <= 1 for one in found.values())


def test_the_fallback_is_usable() -> None:
    assert len(FALLBACK) >= 10
    assert not set(FALLBACK) & BANNED
    assert not any(map(claims, FALLBACK))


def test_without_a_corpus_none_are_added_that_suit_any_photo() -> None:
    nothing = HashtagTable.from_rows([])
    written = ["instagood", "travel", "Fog", "#PhotoOfTheDay", "bridge"]
    found = rank(PostContext("Fog rolls in", written, "Pier 39, San Francisco"), nothing, BANNED, 8)
    assert [one.tag for one in found] == ["sanfrancisco", "pier39", "fog", "bridge", "travel"]
    assert [one.reach for one in found] == [None] * 5
    assert found[0].why == "Names the place."
    assert found[2].why == "Written for the photo."
    # With nothing better, what the model wrote is better than nothing.
    assert tags("", ["instagood", "travel"], 8, nothing) == ["instagood", "travel"]
    assert tags("", [], 8, nothing) == []
