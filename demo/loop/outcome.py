"""Result of the feedback demo, as text and as a page."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.loop.habit import PHRASE, PLACE, has_habit
from snap2caption.command_line.console import stderr


@dataclass(frozen=True, slots=True)
class ComparedPhoto:
    """A photo that nobody corrected, and the service's answers for it."""

    photo: bytes
    before: dict[str, Any]
    after: dict[str, Any]

    @property
    def picture(self) -> str:
        """The photo in base64."""
        return base64.b64encode(self.photo).decode()


@dataclass(frozen=True, slots=True)
class LoopOutcome:
    """``verdict`` is the gate's; ``feedback_uri`` the version of feedback that was learned from; ``version`` the
    model's in service.
    """

    compared: Sequence[ComparedPhoto]
    verdict: dict[str, Any]
    corrections: int
    feedback_uri: str
    version: int
    page: Path

    @property
    def share(self) -> float:
        """The share of the captions that show the habit now."""
        return sum(has_habit(one.after["caption"]) for one in self.compared) / len(self.compared)

    @property
    def share_before(self) -> float:
        """The share that showed it before."""
        return sum(has_habit(one.before["caption"]) for one in self.compared) / len(self.compared)

    def write_page(self) -> None:
        """Write the page with the photos and both captions side by side."""
        from jinja2 import Environment, PackageLoader

        template = Environment(autoescape=True, loader=PackageLoader(__package__, ".")).get_template("page.html.j2")
        page = template.render(
            shown=self.compared, share=self.share, share_before=self.share_before, corrections=self.corrections,
            phrase=PHRASE, place=PLACE,
        )  # fmt: skip
        self.page.write_text(page, encoding="utf-8")


def show(outcome: LoopOutcome) -> None:
    """Print both captions of the first photo, and how far the habit was learned."""
    first = outcome.compared[0]
    for title, answer in (("before", first.before), ("after", first.after)):
        _line(f"\n{title} ({answer['model_version']})", style="bold")
        _line(answer["post"])
    _line(
        f"\n{outcome.corrections} corrections: “{PHRASE}” ends {outcome.share:.0%} of {len(outcome.compared)} new photos' "
        f"captions ({outcome.share_before:.0%} before)."
    )
    _line(f"learned from {outcome.feedback_uri}")
    _line(f"all photos side by side: {outcome.page}")


def _line(text: str, style: str | None = None) -> None:
    stderr.print(text, style=style, markup=False, highlight=False, soft_wrap=True)
