"""The page's result, over a real service whose model is on a server that writes what a test tells it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from demo_service import DemoService
from openai_server import Server
from playwright.sync_api import Locator, Page, expect
from service_process import environment, server

from snap2caption.settings import Settings

MODEL = "gemma3:4b"

TAGS = ["#sf", "#sunset", "#bay", "#bridge", "#fog", "#travel", "#sky"]
BEGINNING = "Golden hour over the bay.\nAnd "
"""What the service shows before the rest has come: a first line may yet turn out to be an introduction."""
GOLDEN = [BEGINNING, "nobody in a hurry.", "\n" + " ".join(TAGS)]
CAPTION = "Golden hour over the bay.\nAnd nobody in a hurry."
POST = f"{CAPTION}\n\n#sf #sunset #bay #bridge #fog"


@contextmanager
def scripted_service(folder: Path, engine: Server, **more: str) -> Iterator[DemoService]:
    """Run the service with the model on *engine*, and with *more* settings."""
    installation = Settings(
        state_dir=folder / "state", models_dir=folder / "models", mlflow_tracking_uri="http://127.0.0.1:9"
    )
    settings = {"MODEL": MODEL, "ENGINE_URL": engine.url, "ENGINE_KEY": engine.key, **more}
    variables = {f"SNAP2CAPTION_SERVING_{name}": value for name, value in settings.items()}
    with server(folder, environment(installation, **variables)) as url:
        yield DemoService(url, folder)


class Result:
    """A page with a photo, and the result of it, as a creator handles them."""

    def __init__(self, page: Page, *photos: Path) -> None:
        self.page = page
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.locator("input[type=file][multiple]").set_input_files(photos)

    def write(self) -> None:
        self.page.get_by_role("button", name=re.compile("^Write .* caption$")).click()

    @property
    def region(self) -> Locator:
        return self.page.get_by_role("region", name="Result")

    @property
    def told(self) -> Locator:
        """What screen readers are told."""
        return self.page.locator("div:has(> [aria-label=Result]) > [role=status]")

    @property
    def caption(self) -> Locator:
        return self.region.locator("textarea[aria-label=Caption]:not([inert] *)")

    @property
    def preview(self) -> Locator:
        return self.page.get_by_role("figure", name="Preview")

    @property
    def chosen(self) -> list[str]:
        """The hashtags that go into the post."""
        return self.region.get_by_role("button", pressed=True).all_inner_texts()

    def press(self, name: str) -> None:
        self.region.locator("button:not([inert] *)", has_text=re.compile(rf"^\s*{re.escape(name)}\s*$")).click()

    def clipboard(self) -> str:
        text: str = self.page.evaluate("navigator.clipboard.readText()")
        return text

    def copied(self, name: str, confirmation: str) -> str:
        """What the button *name* copies."""
        self.press(name)
        expect(self.page.get_by_text(confirmation, exact=True)).to_be_visible()
        return self.clipboard()
