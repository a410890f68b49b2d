"""The folder of the work in progress on one input: what the stages leave for one another, so that a run that was cut off goes on."""

import math
from pathlib import Path

from etl.transform.atomic_files import written
from snap2caption.datasets.manifest import Split
from snap2caption.documents import StrictDocument
from snap2caption.errors import UserError


class TransformSettings(StrictDocument):
    """What the version depends on beside the corpus."""

    cities: tuple[str, ...]
    seed: int
    previous: str | None
    """The earlier version whose assignments stand."""
    near_duplicate_bits: int
    hash_size: int
    samples_per_shard: int
    keep_metadata: bool
    """Photos are kept with their EXIF and all else that their files tell."""
    code: int


class TransformPlan(StrictDocument):
    """What the first stage found."""

    corpus: Path
    sha256: str
    bytes: int
    settings: TransformSettings
    pairs: int
    slice_pairs: int
    dropped: dict[str, int]
    """Before any pair was looked at: samples (for an unsafe path: members), by reason."""

    @property
    def slices(self) -> int:
        """The number of slices."""
        return math.ceil(self.pairs / self.slice_pairs)

    def pairs_of(self, number: int) -> int:
        """Return how many pairs slice *number* has."""
        return min(self.slice_pairs, self.pairs - number * self.slice_pairs)


class Workspace:
    """The files of the work folder *folder*."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pairs = folder / "pairs.parquet"
        """Of the plan, a row group a slice."""
        self.earlier = folder / "earlier.parquet"
        """The assignments of an earlier version, if one was given."""
        self.samples = folder / "samples.parquet"
        self.assigned = folder / "assigned.parquet"
        self.draft = folder / "version"
        """The version, until it is complete."""
        self.slices = folder / "slices"
        self._plan = folder / "plan.json"

    def slice(self, number: int) -> Path:
        """Return the table of the checked pairs of slice *number*."""
        return self.slices / f"{number:04d}.parquet"

    def posts(self, split: Split) -> Path:
        """Return the table that the shards of *split* are written from, a row group a shard."""
        return self.folder / f"{split}.parquet"

    def find_plan(self) -> TransformPlan | None:
        """Return the plan, if there is one."""
        try:
            return TransformPlan.model_validate_json(self._plan.read_bytes())
        except FileNotFoundError:
            return None

    def open_plan(self) -> TransformPlan:
        """Return the plan, whose corpus is there.

        Raises:
            UserError: there is none, or its corpus is gone.
        """
        plan = self.find_plan()
        if plan is None:
            raise UserError(f"There is no plan in {self.folder}; make one with `snap2caption transform-plan`.")
        if not plan.corpus.is_file() or plan.corpus.stat().st_size != plan.bytes:
            raise UserError(
                f"The corpus that was planned is not at {plan.corpus}; put it there, or run `snap2caption transform-plan` again."
            )
        return plan

    def write_plan(self, plan: TransformPlan) -> None:
        """Write the plan, in place of one from before."""
        with written(self._plan) as part:
            part.write_text(plan.model_dump_json(indent=2))
