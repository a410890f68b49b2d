import pytest

from serving.safety import find_unsafe, has_list

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
    assert all(map(has_list, ["de", "de-AT", "nb", "no", "fa", "zh-Hant", "pt-BR"]))
    assert not has_list("eu")


def test_what_the_creator_named_herself_passes() -> None:
    assert find_unsafe("Breakfast at Dick's")
    assert not find_unsafe("Breakfast at Dick's", said="Dick's Diner")
