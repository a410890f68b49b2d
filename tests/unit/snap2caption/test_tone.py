import pytest

from snap2caption.post import Tone
from snap2caption.tone import infer_tone

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("caption", "tone"),
    [
        ("sunset, rain, bridge", Tone.MINIMAL),
        ("", Tone.MINIMAL),
        ("Best day!", Tone.PLAYFUL),
        ("I can't stop smiling at this bridge 🎉🥳", Tone.PLAYFUL),
        ("Believe in the small moments and keep walking by the lake.", Tone.INSPIRATIONAL),
        ("Plot twist: the bridge has a better social life than I do.", Tone.WITTY),
        ("We photographed the bridge at dawn to show how light shapes it.", Tone.PROFESSIONAL),
    ],
)
def test_the_surface_tells_the_tone(caption, tone):
    assert infer_tone(caption) is tone
