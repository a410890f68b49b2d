"""Result of the demo, as text."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.measure import KINDS, Accuracy
from demo.stack import Services
from snap2caption.console import stderr


@dataclass(frozen=True, slots=True)
class Captioned:
    """A photo, the service's answer, and the picture that shows both side by side."""

    photo: Path
    answer: dict[str, Any]
    picture: Path


@dataclass(frozen=True, slots=True)
class DemoOutcome:
    """``version`` is in service; ``refusals`` say why the new model is not, if it is not.

    ``peak_memory`` is in bytes.
    """

    services: Services
    version: int
    refusals: Sequence[str]
    accuracy: Accuracy | None
    captioned: Sequence[Captioned]
    seconds: dict[str, float]
    total_seconds: float
    peak_memory: int


def show(outcome: DemoOutcome) -> None:
    """Print the result, and the services' addresses."""
    for captioned in outcome.captioned:
        _line(f"\n{captioned.photo}", style="bold")
        _line(captioned.answer["post"])
        for notice in captioned.answer["notices"]:
            _line(f"Note: {notice}", style="yellow")
        _line(f"photo and caption side by side: {captioned.picture}")
    if outcome.accuracy:
        _line(f"\nOf {outcome.accuracy.captions} held-out photos' captions (if dealt to other photos):")
        for kind in KINDS:
            right, shuffled = outcome.accuracy.right[kind], outcome.accuracy.shuffled[kind]
            _line(f"  {right:4.0%} name the right {kind} ({shuffled:.0%})")
    for reason in outcome.refusals:
        _line(f"\nThe gate refused the new model, so version {outcome.version} stays: {reason}")
    spent = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in outcome.seconds.items())
    _line(f"\n{outcome.total_seconds:.0f} s in all: {spent}. Peak memory {outcome.peak_memory / 2**30:.1f} GiB.")
    services = outcome.services
    _line(f"\nAirflow   {services.airflow.url}  ({services.airflow.user} / {services.airflow.password})")
    _line(f"MLflow    {services.mlflow}")
    console = services.console
    _line(f"S3        {services.s3}  (files: {console.url}, {console.user} / {console.password})")
    _line(f"Captions  {services.serving}/docs  (model version {outcome.version})")


def _line(text: str, style: str | None = None) -> None:
    stderr.print(text, style=style, markup=False, highlight=False, soft_wrap=True)
