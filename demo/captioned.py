"""Captioned photo: a photo, the service's answer over REST, and the picture that shows both."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from snap2caption.command_line.console import stderr
from snap2caption.errors import UserError
from snap2caption.formats.file_signatures import TAKEN
from snap2caption.images import WORKING_SIDE, decode

# A scene that is in no corpus: corpora number their scenes from their seed upward, and this seed is far beyond.
_SEED = 7_000_000_007


@dataclass(frozen=True, slots=True)
class Captioned:
    """A photo, the service's answer, and the picture that shows both side by side."""

    photo: Path
    answer: dict[str, Any]
    picture: Path


def check_photo(photo: Path) -> None:
    """Check the photo before anything is started.

    Raises:
        UserError: *photo* is not a photo that the service takes.
    """
    if not photo.is_file():
        raise UserError(f"There is no photo at {photo}; give the path of a {TAKEN} file.")
    decode(photo.read_bytes(), max_side=WORKING_SIDE)


def sample_photo(path: Path) -> Path:
    """Save a rendered scene as a JPEG at *path*, and return that."""
    from demo.scenes.render import render
    from demo.scenes.scene import City, Mood, Scene, Subject, Time, Weather

    path.parent.mkdir(parents=True, exist_ok=True)
    scene = Scene(City.SANFRANCISCO, Subject.GOLDEN_GATE, Time.SUNSET, Weather.CLEAR, Mood.ROMANTIC)
    render(scene, _SEED).save(path, quality=92)
    return path


def caption_over_rest(photo: Path, url: str, picture: Path) -> Captioned:
    """Have the service at *url* caption *photo*, and save both side by side as *picture*.

    Raises:
        UserError: the service refused.
    """
    # With a tone, since a caption without one may have only a few words.
    arguments = (f"--url={url}", "--tone=playful", f"--picture={picture}", "--json", "--", str(photo))
    command = (sys.executable, "-m", "snap2caption", "caption", *arguments)
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise UserError(result.stderr.strip().removeprefix("error: ") or f"{photo} could not be captioned.")
    return Captioned(photo, json.loads(result.stdout), picture)


def show_captioned(captioned: Captioned) -> None:
    """Print the post, its notices, and where the picture lies."""
    show_line(f"\n{captioned.photo}", style="bold")
    show_line(captioned.answer["post"])
    for notice in captioned.answer["notices"]:
        show_line(f"Note: {notice}", style="yellow")
    show_line(f"photo and caption side by side: {captioned.picture}")


def show_service(url: str, model: str) -> None:
    """Print where the service at *url* is, and that it runs *model*. Its web page comes first, if it is built."""
    show_line(f"API       {url}/docs  ({model})")
    if httpx.get(f"{url}/", timeout=10.0).is_success:
        show_line(f"\nOpen {url}/ to caption your own photos.", style="bold")


def show_line(text: str, style: str | None = None) -> None:
    """Print *text* as it is, for people: to standard error."""
    stderr.print(text, style=style, markup=False, highlight=False, soft_wrap=True)
