"""Check stage: what a worker sends back is as large as what it was asked for."""

from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from demo.corpus.archive import write_corpus
from etl.transform.stages.check_slice import _check_chunk
from etl.transform.stages.plan import find_cities, write_members, write_pairs

pytestmark = pytest.mark.unit


def test_a_worker_sends_the_rows_of_its_chunk_alone(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus.zip", 4, 1)
    members, plan = tmp_path / "members.parquet", tmp_path / "plan.parquet"
    write_members(corpus, members)
    pairs, _ = write_pairs(members, plan, list(find_cities(members)), 100)
    # As many rows as a real slice has.
    table = pa.concat_tables([pq.read_table(plan)] * (20_000 // pairs))
    pq.write_table(table, plan, row_group_size=len(table))
    found = _check_chunk(corpus, plan, 0, 0, pairs, False, None)
    assert len(found) == pairs
    assert len(ForkingPickler.dumps(found)) < 20_000
