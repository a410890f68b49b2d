import pytest

from snap2caption.text.incomplete_characters import complete

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Just the two of us. 😜", "Just the two of us. 😜"),
        ("Just the two of us. 😜\ufffd", "Just the two of us. 😜"),
        (" Fog \ufffd\ufffd again\ufffd\n#fog ", "Fog again\n#fog"),
        ("\ufffd", ""),
        ("Home 🇬🇧", "Home 🇬🇧"),
        ("Home 🇬🇧🇦", "Home 🇬🇧"),
        ("Home 🇬", "Home"),
        ("All of us 👨\u200d👩\u200d", "All of us 👨\u200d👩"),
        ("Warm ☀️", "Warm ☀️"),
        ("Two halves: \ud83d\ude1c", "Two halves: 😜"),
        ("Half: \ud83d", "Half:"),
        ("Fog\x15, then\u200b fer\u00adry.\x00", "Fog, then ferry."),
    ],
)
def test_what_is_not_whole_is_left_out(text: str, shown: str) -> None:
    assert complete(text) == shown
    assert complete(shown) == shown


def test_a_text_that_is_cut_is_a_beginning_of_the_whole() -> None:
    text = "Nebel über der Brücke, 霧の橋 🌫️🇬🇧 👩‍🚀 — doré"
    whole = text.encode()
    for end in range(len(whole) + 1):
        assert text.startswith(complete(whole[:end].decode(errors="replace")))
