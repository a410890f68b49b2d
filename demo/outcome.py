"""Result of the demo, as text."""

from collections.abc import Sequence
from dataclasses import dataclass

from demo.captioned import Captioned, show_captioned, show_line, show_service
from demo.measure import KINDS, Accuracy
from demo.stack import Services


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
        show_captioned(captioned)
    if outcome.accuracy:
        show_line(f"\nOf {outcome.accuracy.captions} held-out photos' captions (if dealt to other photos):")
        for kind in KINDS:
            right, shuffled = outcome.accuracy.right[kind], outcome.accuracy.shuffled[kind]
            show_line(f"  {right:4.0%} name the right {kind} ({shuffled:.0%})")
    for reason in outcome.refusals:
        show_line(f"\nThe gate refused the new model, so version {outcome.version} stays: {reason}")
    spent = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in outcome.seconds.items())
    show_line(f"\n{outcome.total_seconds:.0f} s in all: {spent}. Peak memory {outcome.peak_memory / 2**30:.1f} GiB.")
    services = outcome.services
    show_line(f"\nAirflow   {services.airflow.url}  ({services.airflow.user} / {services.airflow.password})")
    show_line(f"MLflow    {services.mlflow}")
    console = services.console
    show_line(f"S3        {services.s3}  (files: {console.url}, {console.user} / {console.password})")
    show_service(services.serving, f"model version {outcome.version}")
