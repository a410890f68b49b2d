"""Picture-caption pairs, each generated from the corpus's seed and the pair's number alone."""

import io
import random
from typing import Any, NamedTuple

from PIL import Image

from demo.corpus.captions import pick_tone, write_caption
from demo.scenes.render import render
from demo.scenes.scene import Scene, sample_scene
from snap2caption.post import Tone


class ScenePair(NamedTuple):
    """A picture and its caption as they go into the archive, and the truth about them."""

    id: str
    scene: Scene
    tone: Tone
    image: bytes
    caption: bytes

    def truth(self) -> dict[str, Any]:
        """Return the row of the truth file."""
        scene = self.scene
        return {
            "id": self.id,
            "city": scene.city.value,
            "subject": scene.subject.value,
            "time": scene.time.value,
            "weather": scene.weather.value,
            "mood": scene.mood.value,
            "tone": self.tone.value,
        }


def identifier(number: int, rng: random.Random) -> str:
    """Return an id with 19 digits, as Instagram's media ids have; different for different numbers."""
    return str(1_200_000_000_000_000_000 + number * 1_000_000_000 + rng.randrange(1_000_000_000))


def encode(image: Image.Image, quality: int) -> bytes:
    """Return *image* as JPEG bytes."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def make_pair(seed: int, number: int) -> ScenePair:
    """Make pair *number* of the corpus of *seed*."""
    rng = random.Random(f"pair/{seed}/{number}")
    name = identifier(number, rng)
    return pair_of(sample_scene(rng), name, rng)


def pair_of(scene: Scene, name: str, rng: random.Random) -> ScenePair:
    """Make a pair of *scene* under the id *name*."""
    tone = pick_tone(rng)
    caption = write_caption(scene, rng, tone)
    image = encode(render(scene, rng.getrandbits(32)), rng.randint(84, 91))
    return ScenePair(name, scene, tone, image, caption.encode())
