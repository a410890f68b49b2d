"""All dashboards, and where their JSON lies."""

from pathlib import Path
from typing import Final

from monitoring.dashboards import feedback_loop, host, model_quality, pipelines, service

FOLDER: Final = Path(__file__).parents[1] / "grafana" / "dashboards"

PAGES: Final = (service.PAGE, model_quality.PAGE, feedback_loop.PAGE, pipelines.PAGE, host.PAGE)
