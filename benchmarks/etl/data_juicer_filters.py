"""Data-Juicer's filters on pairs, in an environment of their own: ``python data_juicer_filters.py PAIRS RESULTS``.

PAIRS has a JSON object with ``text`` and ``image`` in each line; RESULTS gets the CPU time per pair of each filter, and
which pairs it keeps. It imports nothing of the project, whose dependencies are not there.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from data_juicer.ops.filter.image_aspect_ratio_filter import ImageAspectRatioFilter
from data_juicer.ops.filter.image_shape_filter import ImageShapeFilter
from data_juicer.ops.filter.word_repetition_filter import WordRepetitionFilter
from data_juicer.ops.filter.words_num_filter import WordsNumFilter
from data_juicer.utils.constant import Fields

_BATCH = 100

FILTERS = {
    "length": WordsNumFilter(min_num=3, max_num=200),
    "repetition": WordRepetitionFilter(rep_len=2, max_ratio=0.3),
    "low_resolution": ImageShapeFilter(min_width=200, min_height=200),
    "aspect_ratio": ImageAspectRatioFilter(min_ratio=1 / 2.5, max_ratio=2.5),
}


def kept(one: Any, rows: list[dict[str, str]]) -> list[bool]:
    """Return which of *rows* the filter *one* keeps."""
    found: list[bool] = []
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        samples: dict[str, list[Any]] = {
            "text": [row["text"] for row in batch],
            "images": [[row["image"]] for row in batch],
            Fields.stats: [{} for _ in batch],
            Fields.context: [{} for _ in batch],
        }
        if one.is_batched_op():
            found += map(bool, one.process_batched(one.compute_stats_batched(samples)))
        else:
            singles = ({name: values[place] for name, values in samples.items()} for place in range(len(batch)))
            found += [bool(one.process_single(one.compute_stats_single(single))) for single in singles]
    return found


if __name__ == "__main__":
    pairs = [json.loads(line) for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()]
    results = {}
    for name, one in FILTERS.items():
        kept(one, pairs[:_BATCH])
        started = time.process_time()
        left = kept(one, pairs)
        results[name] = {"seconds": (time.process_time() - started) / len(pairs), "kept": left}
    Path(sys.argv[2]).write_text(json.dumps(results))
