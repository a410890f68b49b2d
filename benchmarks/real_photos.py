"""Captions of nine sample photographs by any named model, as one page to look at.

Usage: ``python -m benchmarks.real_photos --model NAME [--engine URL] [--out PAGE.html]``. The photographs are those that
scikit-image, scikit-learn and matplotlib ship. Whether a caption is good can only be seen, so nothing is scored.
"""

import argparse
import base64
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import skimage
import sklearn
from jinja2 import Environment, PackageLoader

from serving.http.schemas import CaptionAnswer, Options
from serving.offline.caption import open_captioner
from serving.settings import ServingSettings
from snap2caption.errors import UserError
from snap2caption.images import decode
from snap2caption.post import Tone
from snap2caption.settings import read_settings

_SHOWN_SIDE = 480


@dataclass(frozen=True, slots=True)
class CaptionedPhotograph:
    """A photograph as a JPEG in base64, its caption in each tone, and the seconds that each took."""

    name: str
    picture: str
    answers: dict[Tone, CaptionAnswer]

    @property
    def seconds(self) -> float:
        """The mean seconds of a caption with its alt text."""
        return sum(answer.timing.total for answer in self.answers.values()) / 1000 / len(self.answers)


def photographs() -> list[Path]:
    """Return the paths of the nine sample photographs: people, a pet, food, machines, buildings, a flower."""
    skimage_data, sklearn_data = Path(skimage.__file__).parent / "data", Path(sklearn.__file__).parent / "datasets"
    names = ("astronaut.png", "camera.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")
    return [
        *(skimage_data / name for name in names),
        *(sklearn_data / "images" / name for name in ("china.jpg", "flower.jpg")),
        Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg",
    ]


def caption_photographs(settings: ServingSettings, tones: Sequence[Tone]) -> list[CaptionedPhotograph]:
    """Caption all photographs in each of *tones* with the model that *settings* name.

    Raises:
        UserError: the model can't be loaded, or refused a photograph.
    """
    captioned = []
    with open_captioner(settings) as caption:
        for path in photographs():
            content = path.read_bytes()
            answers = {tone: caption([content], Options(tone=tone)) for tone in tones}
            captioned.append(CaptionedPhotograph(path.name, _thumbnail(content), answers))
            print(f"{path.name}: {next(iter(answers.values())).caption}", flush=True)
    return captioned


def page(model: str, captioned: Sequence[CaptionedPhotograph]) -> str:
    """Return the photographs beside their captions, as a self-contained HTML page."""
    template = Environment(autoescape=True, loader=PackageLoader("benchmarks", ".")).get_template("real_photos.html.j2")
    return template.render(model=model, captioned=captioned)


def _thumbnail(content: bytes) -> str:
    stream = io.BytesIO()
    picture = decode(content, max_side=_SHOWN_SIDE)
    picture.thumbnail((_SHOWN_SIDE, _SHOWN_SIDE))
    picture.save(stream, "JPEG", quality=85)
    return base64.b64encode(stream.getvalue()).decode()


def main() -> None:
    """Caption the photographs, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", required=True, help="name of the model, as `snap2caption caption --model` takes it")
    parser.add_argument("--engine", help="address of an OpenAI-compatible server that runs the model")
    parser.add_argument("--tones", nargs="+", type=Tone, default=[Tone.PLAYFUL, Tone.MINIMAL], metavar="TONE")
    parser.add_argument("--out", type=Path, default=Path("build/real-photos.html"))
    given = parser.parse_args()
    named = {"model": given.model, **({"engine_url": given.engine} if given.engine else {})}
    try:
        captioned = caption_photographs(read_settings(ServingSettings, **named), given.tones)
    except UserError as error:
        sys.exit(f"error: {error}")
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(page(given.model, captioned), encoding="utf-8")
    print(given.out)


if __name__ == "__main__":
    main()
