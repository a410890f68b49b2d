"""Transform: corpus zip in, dataset version out, straight from the archive.

In three stages, which one process runs in turn (`transform`) or many machines share: `plan`, then each slice by itself (`check_slice`), then
`merge`. What a stage leaves for the next lies in a work folder beside the versions.
"""

from etl.transform.archive.cities import DEFAULT_CITIES
from etl.transform.pipeline import SLICE_PAIRS, PlannedTransform, check_slice, merge, plan, transform

__all__ = ["DEFAULT_CITIES", "SLICE_PAIRS", "PlannedTransform", "check_slice", "merge", "plan", "transform"]
