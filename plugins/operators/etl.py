"""Extract, transform, load."""

from typing import Any

from plugins.assets import DATASET
from plugins.links import DataCardLink, DatasetLink
from plugins.operators.command import CommandOperator
from snap2caption.redaction import redact_url
from snap2caption.settings import Settings

WORK = "work"
"""The XCom key of the folder of a transform's work in progress."""


class ExtractOperator(CommandOperator):
    """Downloads the corpus zip from the run's parameter ``urls``; returns its path on the machines' shared state folder."""

    # Not the URLs: Airflow keeps rendered fields and shows them, and there may be a login or a signature in a URL.
    template_fields = ("sha256", "size")

    def __init__(self, *, sha256: Any, size: Any, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.sha256 = sha256
        self.size = size

    def execute(self, context: Any) -> str:
        """Download, or go on with a download that was cut off."""
        out = Settings().state_dir / "downloads"
        found = self.run("extract", *context["params"]["urls"], out=out, sha256=self.sha256, size=self.size or None)
        return str(found["path"])


class PlanOperator(CommandOperator):
    """Parts the transform into slices; returns their numbers, to map a task over, and pushes the folder of the work in progress.

    No numbers: the version is there already.
    """

    template_fields = ("corpus", "cities", "seed", "slice_pairs", "keep_metadata")

    def __init__(
        self, *, corpus: Any, cities: Any, seed: Any, slice_pairs: Any, keep_metadata: Any, **arguments: Any
    ) -> None:
        super().__init__(**arguments)
        self.corpus = corpus
        self.cities = cities
        self.seed = seed
        self.slice_pairs = slice_pairs
        self.keep_metadata = keep_metadata

    def execute(self, context: Any) -> list[int]:
        """Pair photos and captions."""
        plan = self.run(
            "transform-plan",
            self.corpus,
            out=Settings().state_dir / "work",
            cities=",".join(self.cities),
            seed=self.seed,
            slice_pairs=self.slice_pairs,
            keep_metadata=bool(self.keep_metadata),
        )
        context["ti"].xcom_push(key=WORK, value=plan["work"])
        return list(range(plan["slices"]))


class SliceOperator(CommandOperator):
    """Checks the pairs of one slice. It works in several processes, which a task's own can't start."""

    template_fields = ("work", "number")

    def __init__(self, *, work: Any, number: Any, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.work = work
        self.number = number

    def execute(self, context: Any) -> None:  # noqa: ARG002
        """Read, clean, decode, hash."""
        self.run("transform-slice", self.work, self.number)


class MergeOperator(CommandOperator):
    """Makes a dataset version of the slices, and notes the run's parameter ``urls`` in it; returns the version's folder."""

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
        """Upload what is not there yet, the manifest last."""
        uri = str(self.run("load", self.dataset, self.uri or Settings().datasets_uri)["uri"])
        context["outlet_events"][DATASET].extra = {"uri": uri}
        return uri
