import pytest

from snap2caption.text.profanity import _IN_NAMES, _LISTS, _filter, find_unsafe, has_word_list

pytestmark = pytest.mark.unit

PLACES = (
    "Scunthorpe", "Penistone", "Cockfosters", "Middlesex", "Essex", "Sussex", "Lightwater", "Clitheroe", "Arsenal",
    "Cockermouth", "Beaver Creek", "Niger", "Dyke Road", "Hell's Kitchen", "Titicaca", "Assisi", "Massachusetts", "Pratt Street",
)  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_places_pass(place: str) -> None:
    assert find_unsafe(f"A slow evening in {place} ✨") == []


@pytest.mark.parametrize("text", ["What the fuck", "sh1t happens", "f u c k it", "what a BITCH", "you faggot"])
def test_profanity_and_slurs_do_not(text: str) -> None:
    assert find_unsafe(text)


def test_a_language_adds_its_own() -> None:
    assert not find_unsafe("Quelle merde")
    assert find_unsafe("Quelle merde", language="fr")
    assert find_unsafe("Quelle merde", language="fr-CA")
    assert not find_unsafe("a nice day", language="tlh")


def test_languages_with_a_list_are_known_by_their_tag() -> None:
    assert all(map(has_word_list, ["de", "de-AT", "nb", "no", "fa", "zh-Hant", "pt-BR"]))
    assert not has_word_list("eu")


def test_what_the_creator_named_passes() -> None:
    assert find_unsafe("Breakfast at Dick's")
    assert not find_unsafe("Breakfast at Dick's", creator_text="Dick's Diner")
    assert not find_unsafe("Breakfast at Dick’s", creator_text="DICK’S_DINER")


@pytest.mark.parametrize(
    ("word", "place"),
    [
        ("ass", "Massachusetts"),
        ("sex", "Essex"),
        ("tits", "Titsey"),
        ("cock", "Cockfosters"),
        ("dick", "Dickinson Park"),
    ],
)
def test_what_is_only_a_part_of_a_place_s_word_does_not_pass(word: str, place: str) -> None:
    assert find_unsafe(f"{word} in {place}", creator_text=place) == [word]


@pytest.mark.parametrize(
    ("place", "language"),
    [
        ("Fucking, Upper Austria", None),
        ("Intercourse, Pennsylvania", None),
        ("Playboy Mansion", None),
        ("Plymouth Hoe", None),
        ("La Concha", "es"),
        ("Flughafen Kloten", "nl"),
        ("Cappella Sistina", "it"),
        ("Via Carità", "it"),
        ("Rue Bourrée", "fr"),
        ("Голый остров", "ru"),
        ("肥西", "zh"),
        ("ローター通り", "ja"),
    ],
)
def test_listed_place_names_pass_when_they_are_named(place: str, language: str | None) -> None:
    assert find_unsafe(f"A slow evening at {place} today", language=language, creator_text=place) == []


@pytest.mark.parametrize(
    ("slur", "language"),
    [
        *((slur, None) for slur in ("nigger", "nigga", "faggot", "kike", "spic", "paki", "coon", "wetback", "tranny", "retard", "beaner", "raghead")),
        ("neger", "de"),
        ("kanake", "de"),
        ("maricón", "es"),
        ("frocio", "it"),
        ("nègre", "fr"),
        ("ryssä", "fi"),
        ("flikker", "nl"),
        ("хохол", "ru"),
        ("짱깨", "ko"),
    ],
)  # fmt: skip
def test_no_slur_passes_by_being_the_place(slur: str, language: str | None) -> None:
    for place in (slur, f"{slur}'s Diner", f"The {slur.upper()} Lake"):
        assert find_unsafe(f"A slow evening at the {slur} lake", language=language, creator_text=place)


def test_what_passes_in_names_is_on_a_list() -> None:
    listed = {word for name in set(_LISTS.values()) for word in _filter((name,)).words}
    assert listed >= _IN_NAMES
