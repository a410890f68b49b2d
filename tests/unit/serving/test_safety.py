import pytest

from serving.safety import find_unsafe

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
    assert find_unsafe("Quelle merde", language="French")
    assert not find_unsafe("a nice day", language="Klingon")


def test_what_the_creator_named_herself_passes() -> None:
    assert find_unsafe("Breakfast at Dick's")
    assert not find_unsafe("Breakfast at Dick's", said="Dick's Diner")
