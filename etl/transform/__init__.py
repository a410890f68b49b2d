"""Transform: from a corpus zip to a dataset version, read straight from the archive.

There are three stages: `plan`, then `check_slice` for each slice independently, then `merge`. One process runs
them in turn (`transform`), or many machines share them. A work folder next to the versions holds what one stage
leaves for the next.
"""

from etl.transform.archive.cities import DEFAULT_CITIES
from etl.transform.pipeline import SLICE_PAIRS, PlannedTransform, check_slice, merge, plan, transform

__all__ = ["DEFAULT_CITIES", "SLICE_PAIRS", "PlannedTransform", "check_slice", "merge", "plan", "transform"]
