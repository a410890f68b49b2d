"""Workspace: the files that the stages leave for one another, so that an interrupted run resumes."""

import math
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator

from etl.place import Place, parse_place
from etl.transform.archive.corpus import size_of_corpus
from etl.transform.atomic_files import atomic_write
from etl.transform.curation.settings import CurationSettings
from snap2caption.datasets.manifest import Split
from snap2caption.errors import UserError
from snap2caption.formats.documents import StrictDocument


class TransformSettings(StrictDocument):
    """Settings that determine the version, together with the corpus."""

    cities: tuple[str, ...]
    seed: int
    previous: str | None
    """The earlier version whose split assignments are kept."""
    near_duplicate_bits: int
    hash_size: int
    samples_per_shard: int
    keep_metadata: bool
    """Whether photos keep EXIF and all other metadata."""
    code: int
    curation: CurationSettings | None = None

    def document(self) -> dict[str, Any]:
        """Return the settings as JSON, without the curation's steps that are off: versions keep their names."""
        left_out = {"curation"} if self.curation is None else set()
        found = self.model_dump(mode="json", exclude=left_out)
        if self.curation is not None:
            found["curation"] = self.curation.model_dump(mode="json", exclude_none=True)
        return found


class TransformPlan(StrictDocument):
    """Result of the first stage."""

    corpus: Annotated[Place, PlainValidator(parse_place), PlainSerializer(str)]
    sha256: str
    bytes: int
    settings: TransformSettings
    pairs: int
    slice_pairs: int
    dropped: dict[str, int]
    """Samples (for an unsafe path: members) dropped before any pair was read, by reason."""

    @property
    def slices(self) -> int:
        """The number of slices."""
        return math.ceil(self.pairs / self.slice_pairs)

    def pairs_of(self, number: int) -> int:
        """Return the number of pairs in slice *number*."""
        return min(self.slice_pairs, self.pairs - number * self.slice_pairs)


class Workspace:
    """Paths in the work folder *folder*, which all stages see."""

    def __init__(self, folder: Path) -> None:
        self.place: Place = folder
        self.folder = folder
        self.pairs = folder / "pairs.parquet"
        """The pairs of the plan, one row group per slice."""
        self.earlier = folder / "earlier.parquet"
        """The assignments of an earlier version, if one was given."""
        self.curated = folder / "curated.parquet"
        """The pairs that curation rejects by comparing them with others."""
        self.samples = folder / "samples.parquet"
        self.assigned = folder / "assigned.parquet"
        self.rejected = folder / "rejected.html"
        """The page of what curation rejects."""
        self.draft = folder / "version"
        """The version, until it is complete."""
        self.slices = folder / "slices"
        self._plan = folder / "plan.json"

    def slice(self, number: int) -> Path:
        """Return the table of the checked pairs of slice *number*."""
        return self.slices / f"{number:04d}.parquet"

    def posts(self, split: Split) -> Path:
        """Return the table that the shards of *split* are written from, one row group per shard."""
        return self.folder / f"{split}.parquet"

    def find_plan(self) -> TransformPlan | None:
        """Return the plan, if there is one."""
        self.fetch(self._plan)
        try:
            return TransformPlan.model_validate_json(self._plan.read_bytes())
        except FileNotFoundError:
            return None

    def open_plan(self) -> TransformPlan:
        """Return the plan.

        Raises:
            UserError: there is no plan, or its corpus is gone.
        """
        plan = self.find_plan()
        if plan is None:
            raise UserError(f"There is no plan in {self.place}; make one with `snap2caption transform-plan`.")
        if _size_of(plan.corpus) != plan.bytes:
            raise UserError(
                f"The corpus of this plan is not at {plan.corpus}; put it there, "
                "or run `snap2caption transform-plan` again."
            )
        return plan

    def write_plan(self, plan: TransformPlan) -> None:
        """Write the plan, replacing an earlier one."""
        with atomic_write(self._plan) as part:
            part.write_text(plan.model_dump_json(indent=2))
        self.keep(self._plan)

    def has(self, files: Iterable[Path]) -> list[bool]:
        """Return whether the stages have left each of these files."""
        return [file.exists() for file in files]

    def fetch(self, *files: Path) -> None:
        """Make files that the stages have left available under their paths. Those that don't exist are left out."""

    def keep(self, file: Path) -> None:
        """Leave a file, which was written under its path, for the other stages."""

    def fetch_pairs(self, number: int) -> tuple[Path, int]:
        """Return a table with the pairs of slice *number*, and the number of their row group in it."""
        return self.pairs, number

    def remove(self) -> None:
        """Remove the workspace."""
        shutil.rmtree(self.folder)


def _size_of(corpus: Place) -> int | None:
    try:
        return size_of_corpus(corpus)
    except UserError:
        return None
