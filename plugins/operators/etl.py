"""Extract, transform, load."""

import time
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException

from plugins.assets import DATASET
from plugins.links import DatasetLink
from plugins.operators.command import CommandOperator
from snap2caption.settings import Settings


class ExtractOperator(BaseOperator):
    """Downloads the corpus zip; returns its path on the machines' shared state folder."""

    template_fields = ("urls", "sha256", "size")

    def __init__(self, *, urls: Any, sha256: Any, size: Any, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.urls = urls
        self.sha256 = sha256
        self.size = size

    def execute(self, context: Any) -> str:  # noqa: ARG002
        """Download, or go on with a download that was cut off."""
        from etl.extract import extract

        report = _EverySoOften(self.log)
        path = extract(
            self.urls,
            Settings().state_dir / "downloads",
            sha256=self.sha256 or None,
            size=self.size or None,
            on_progress=report.show,
        )
        return str(path)

    def on_kill(self) -> None:
        """Leave `execute` where it is, which ends the download."""
        raise AirflowException("The download was stopped; another try goes on from where it was.")


class TransformOperator(CommandOperator):
    """Makes a dataset version from the zip; returns the version's folder. It works in several processes, which a task's own can't start."""

    template_fields = ("corpus", "cities", "seed", "urls")

    def __init__(self, *, corpus: Any, cities: Any, seed: Any, urls: Any, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.corpus = corpus
        self.cities = cities
        self.seed = seed
        self.urls = urls

    def execute(self, context: Any) -> str:  # noqa: ARG002
        """Clean, pair and split."""
        where = ("--out", str(Settings().state_dir / "work"))
        how = ("--cities", ",".join(self.cities), "--seed", str(self.seed))
        sources = [part for url in self.urls for part in ("--source-url", url)]
        found = self.run("transform", str(self.corpus), *where, *how, *sources)
        return str(found["dataset"])


class LoadOperator(BaseOperator):
    """Uploads a dataset version; returns its URI and publishes it as an event of the dataset asset."""

    template_fields = ("dataset", "uri")
    operator_extra_links = (DatasetLink(),)

    def __init__(self, *, dataset: Any, uri: Any, **arguments: Any) -> None:
        super().__init__(outlets=[DATASET], **arguments)
        self.dataset = dataset
        self.uri = uri
        self.result: str | None = None

    def execute(self, context: Any) -> str:
        """Upload what is not there yet, the manifest last."""
        from etl.load import load

        report = _EverySoOften(self.log)
        self.result = load(Path(self.dataset), self.uri or Settings().datasets_uri, on_progress=report.count)
        context["outlet_events"][DATASET].extra = {"uri": self.result}
        return self.result


class _EverySoOften:
    """Progress as lines in a log, not more than one in a while."""

    SECONDS = 5.0

    def __init__(self, log: Any) -> None:
        self.log = log
        self.last = time.monotonic()

    def count(self, done: int, total: int) -> None:
        """Show *done* of *total*."""
        self.show(f"{done} of {total}")

    def show(self, progress: object) -> None:
        """Show *progress*, if it is time."""
        if time.monotonic() - self.last >= self.SECONDS:
            self.last = time.monotonic()
            self.log.info("%s", progress)
