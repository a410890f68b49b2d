"""Demo with a model by name: the caption service alone, on any vision-language model, and a captioned photo.

There is no corpus, no Airflow and no training.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from demo.captioned import (
    Captioned,
    caption_over_rest,
    check_photo,
    sample_photo,
    show_captioned,
    show_line,
    show_service,
)
from demo.display import Display
from demo.run import CAPTION, SERVING
from demo.stack import Stack
from demo.stack.ports import Ports
from demo.stack.services.serving import serving
from snap2caption.errors import UserError
from snap2caption.settings import Settings
from snap2caption.vlm import load_config

_LOAD_SECONDS = 3600.0
"""A model of some gigabytes may have to be downloaded first."""


@dataclass(frozen=True, slots=True)
class NamedModelOutcome:
    """A captioned photo, the service's address, and the seconds that it all took."""

    captioned: Captioned
    url: str
    seconds: float


class NamedModelDemo:
    """One run of the demo with a model by name, over one state folder."""

    def __init__(self, state: Path, model: str, engine: str | None = None, photo: Path | None = None) -> None:
        """Check what is given, so that mistakes are told at once.

        Args:
            state: folder for everything.
            model: name of the model, as `snap2caption serve --model` takes it.
            engine: address of an OpenAI-compatible server that runs the model; None: it runs in the service.
            photo: the photo to caption; None: a rendered scene.

        Raises:
            UserError: the photo, the model or the server can't be used.
        """
        if photo is not None:
            check_photo(photo)
        if engine is None:
            load_config(model, Settings().models_dir)
        else:
            _check_server(engine)
        self.state = state.resolve()
        self.model = model
        self.engine = engine
        self.photo = photo

    @contextmanager
    def run(self) -> Iterator[NamedModelOutcome]:
        """Start the service, caption the photo, and yield the outcome; the service lives until the context ends.

        Raises:
            UserError: the service can't load the model, or refused the photo.
        """
        began = time.monotonic()
        display = Display([SERVING, CAPTION])
        with Stack(self.state) as stack:
            with display:
                with display.stage(SERVING) as stage:
                    display.note(stage, f"loading {self.model}")
                    service, url = serving(self._environment(), Ports(self.state / "ports.json"))
                    # It is ready once the model has captioned a test picture.
                    stack.start([replace(service, ready_url=f"{url}/readyz", timeout=_LOAD_SECONDS)])
                with display.stage(CAPTION):
                    folder = self.state / "demo"
                    photo = self.photo or sample_photo(folder / "photo.jpg")
                    captioned = caption_over_rest(photo, url, folder / "captioned-by-name.png")
            yield NamedModelOutcome(captioned, url, time.monotonic() - began)

    def _environment(self) -> dict[str, str]:
        named = {"SNAP2CAPTION_SERVING_MODEL": self.model}
        if self.engine:
            named["SNAP2CAPTION_SERVING_ENGINE_URL"] = self.engine
        # This demo has no registry, and whatever listens at the registry's default address is not its own.
        return {
            "SNAP2CAPTION_STATE_DIR": str(self.state),
            "SNAP2CAPTION_SERVING_SWITCH_TO_CHAMPION": "false",
            **named,
        }


def show(outcome: NamedModelOutcome) -> None:
    """Print the result, and the service's address."""
    show_captioned(outcome.captioned)
    show_line(f"\n{outcome.seconds:.0f} s in all.")
    show_service(outcome.url, f"model {outcome.captioned.answer['model_version']}")


def _check_server(url: str) -> None:
    try:
        httpx.get(url, timeout=5.0)
    except (httpx.TransportError, httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise UserError(f"No server answers at {url} ({error}); start it, or correct its address.") from error
