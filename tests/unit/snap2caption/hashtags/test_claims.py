import pytest

from demo.corpus.lexicon import CITIES, TIMES, WEATHERS, SurfaceForms
from snap2caption.hashtags.claims import ClaimKind, agree, claims

pytestmark = pytest.mark.unit


def said(text: str) -> set[str]:
    """What *text* says outright."""
    return {value for values in claims(text).values() if len(values) == 1 for value in values}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("Rain at noon in New York", {"rain", "day", "newyork"}),
        ("nycnights", {"newyork", "night"}),
        ("rainydayvibes", {"rain"}),
        ("letitsnow", {"snow"}),
        ("goldenhourlovers", {"sunset"}),
        ("As the sun comes up over SF", {"sunrise", "sanfrancisco"}),
        ("after dark", {"night"}),
        ("fallcolors", {"autumn"}),
        ("Fall in love", set()),
        ("Not a cloudy day, no rain, without fog", set()),
        ("Schnee in München", {"snow", "munich"}),
        ("une nuit à Paris", {"night", "paris"}),
        ("東京の夜", {"tokyo", "night"}),
        ("São Paulo", {"saopaulo"}),
    ],
)
def test_words_claim_what_they_say(text: str, values: set[str]) -> None:
    assert said(text) == values


@pytest.mark.parametrize(
    "word",
    ["train", "terrain", "grainy", "brainstorm", "waterfall", "knight", "optimistic", "springfield", "londonderry", "rainbow", "sunday",
     "today", "citylife", "romantic", "parish", "winery", "dawnoftime"[4:], "misty"[:3]],
)  # fmt: skip
def test_a_word_within_another_claims_nothing(word: str) -> None:
    assert not claims(word)


@pytest.mark.parametrize(
    ("one", "other", "agreed"),
    [
        ("rain", "snow", False),
        ("sunset", "night", False),
        ("sunny", "night", False),
        ("sunny", "sunset", True),
        ("snowy", "summer", False),
        ("snowy", "winter", True),
        ("cloudy", "rain", True),
        ("cloudy", "bluesky", False),
        ("London", "Paris", False),
        ("Paris", "France", True),
        ("London", "France", False),
        ("rain", "night", True),
    ],
)
def test_claims_of_one_kind_that_share_nothing_contradict(one: str, other: str, agreed: bool) -> None:
    assert agree(claims(one), claims(other)) is agree(claims(other), claims(one)) is agreed


@pytest.mark.parametrize(
    ("kind", "table"), [(ClaimKind.PLACE, CITIES), (ClaimKind.TIME, TIMES), (ClaimKind.WEATHER, WEATHERS)], ids=["places", "times", "weathers"]
)  # fmt: skip
def test_all_words_of_the_sample_corpus_are_told_apart(kind: ClaimKind, table: dict[str, SurfaceForms]) -> None:
    found = {value: {claims(text).get(kind) for text in (*words.tags, *words.prose)} for value, words in table.items()}
    assert all(len(values) == 1 and None not in values for values in found.values()), found
    assert len(set.union(*found.values())) == len(table)
