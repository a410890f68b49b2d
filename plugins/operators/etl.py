"""Operators of the ETL DAG: extract, transform, load."""

from pathlib import Path
from typing import Any

from plugins.assets import DATASET
from plugins.links import DataCardLink, DatasetLink
from plugins.operators.command import CommandOperator
from plugins.operators.named_files import find_named
from snap2caption.redaction import redact_url
from snap2caption.settings import Settings

WORK = "work"
"""The XCom key of the place of a transform's work."""


def find_curation(name: Any) -> Path | None:
    """Return the curation *name* of ``configs/curation``; None if the trigger form has none.

    Raises:
        AirflowFailException: there is no such file in that folder.
    """
    return find_named(Settings().configs_dir / "curation", str(name), "curation") if name not in ("", None) else None


class ExtractOperator(CommandOperator):
    """Downloads the corpus zip from the run's parameter ``urls``; returns its path or URI in the work area."""

    # Not the URLs: Airflow stores and shows rendered fields, and a URL may hold a login or a signature.
    template_fields = ("sha256", "size")

    def __init__(self, *, sha256: Any, size: Any, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.sha256 = sha256
        self.size = size

    def execute(self, context: Any) -> str:
        """Download, or resume an interrupted download."""
        # A curation that is not there shall not show after hours of downloading.
        find_curation(context["params"].get("curation"))
        settings = Settings()
        in_folder = settings.work_uri.startswith("file:")
        out = settings.state_dir / "downloads" if in_folder else f"{settings.work_uri.rstrip('/')}/downloads"
        found = self.run("extract", *context["params"]["urls"], out=out, sha256=self.sha256, size=self.size or None)
        return str(found["path"])


class PlanOperator(CommandOperator):
    """Divides the transform into slices; returns their numbers, to map a task over, and pushes the place of the work.

    It returns no numbers if the version exists already.
    """

    template_fields = ("corpus", "cities", "seed", "slice_pairs", "keep_metadata", "curation")

    def __init__(
        self,
        *,
        corpus: Any,
        cities: Any,
        seed: Any,
        slice_pairs: Any,
        keep_metadata: Any,
        curation: Any = "",
        **arguments: Any,
    ) -> None:
        super().__init__(**arguments)
        self.corpus = corpus
        self.cities = cities
        self.seed = seed
        self.slice_pairs = slice_pairs
        self.keep_metadata = keep_metadata
        self.curation = curation

    def execute(self, context: Any) -> list[int]:
        """Pair photos and captions."""
        plan = self.run(
            "transform-plan",
            self.corpus,
            out=Settings().work_uri,
            cities=",".join(self.cities),
            seed=self.seed,
            slice_pairs=self.slice_pairs,
            keep_metadata=bool(self.keep_metadata),
            curation=find_curation(self.curation),
        )
        context["ti"].xcom_push(key=WORK, value=plan["work"])
        return list(range(plan["slices"]))


class SliceOperator(CommandOperator):
    """Checks the pairs of one slice, in several processes, which the task's own process could not start."""

    template_fields = ("work", "number")

    def __init__(self, *, work: Any, number: Any, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.work = work
        self.number = number

    def execute(self, context: Any) -> None:  # noqa: ARG002
        """Read, clean, decode, hash."""
        self.run("transform-slice", self.work, self.number)


class MergeOperator(CommandOperator):
    """Merges the slices into a dataset version that names the run's ``urls`` as its source; returns its folder or URI."""

    template_fields = ("work",)

    def __init__(self, *, work: Any, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.work = work

    def execute(self, context: Any) -> str:
        """Group, split, write shards."""
        sources = [redact_url(url) for url in context["params"]["urls"]]
        return str(self.run("transform-merge", self.work, source_url=sources)["dataset"])


class LoadOperator(CommandOperator):
    """Uploads a dataset version; returns its URI and publishes it as an event of the dataset asset."""

    template_fields = ("dataset", "uri")
    operator_extra_links = (DatasetLink(), DataCardLink())

    def __init__(self, *, dataset: Any, uri: Any, **arguments: Any) -> None:
        super().__init__(outlets=[DATASET], **arguments)
        self.dataset = dataset
        self.uri = uri

    def execute(self, context: Any) -> str:
        """Upload what the store lacks, the manifest last."""
        uri = str(self.run("load", self.dataset, self.uri or Settings().datasets_uri)["uri"])
        context["outlet_events"][DATASET].extra = {"uri": uri}
        return uri
