"""Curation preview: the steps on a sample of the corpus, without making a version."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from etl.place import Place
from etl.transform import columns
from etl.transform.archive.cities import choose_cities
from etl.transform.archive.corpus import size_of_corpus
from etl.transform.archive.members import no_usable_samples_error
from etl.transform.atomic_files import atomic_write
from etl.transform.curation.settings import CurationSettings
from etl.transform.curation.steps import Curator
from etl.transform.stages.check_slice import load, write_slice
from etl.transform.stages.curate import view_checked, write_curated
from etl.transform.stages.plan import find_cities, write_members, write_pairs
from etl.transform.workers import start_workers
from etl.transform.working_tables import batches, open_database, view, write_table
from etl.transform.writing.distributions import Distribution, find_distributions
from etl.transform.writing.rejected_page import draw_rejected

_SAMPLE = "SELECT * FROM (SELECT * FROM pairs ORDER BY sha256(id) LIMIT $most) ORDER BY image_offset"

_DROPPED = "SELECT reason, count(*) FROM checked WHERE reason IS NOT NULL GROUP BY reason ORDER BY reason"


@dataclass(frozen=True, slots=True)
class CurationPreview:
    """What curation does to a sample of the pairs."""

    pairs: int
    """Pairs in the corpus."""
    sampled: int
    kept: int
    dropped: dict[str, int]
    distributions: list[Distribution]


def preview(
    corpus: Place,
    curation: CurationSettings,
    page: Path,
    *,
    cities: Sequence[str] | None = None,
    sample: int = 1000,
    workers: int | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> CurationPreview:
    """Try *curation* on *sample* pairs, which are always the same ones, and write the page of what it rejects.

    Templates and near-duplicates are looked for within the sample, so a whole corpus has more of them.

    Args:
        corpus: the zip.
        curation: the steps.
        page: the HTML page to write.
        cities: as for `etl.transform.plan`.
        sample: number of pairs.
        workers: number of processes; by default one per processor.
        on_progress: called with the number of pairs that were checked since its last call.

    Raises:
        UserError: there is no zip, a city is not in it, or the cities have nothing usable, or a step needs a package
            that is not installed.
    """
    Curator(curation)
    size_of_corpus(corpus)
    with start_workers(workers) as pool, tempfile.TemporaryDirectory() as name:
        pool.start(load)
        folder = Path(name)
        members, all_pairs, pairs, checked = (folder / f"{kind}.parquet" for kind in ("members", "all", "pairs", "0"))
        write_members(corpus, members)
        chosen = choose_cities(corpus, cities, find_cities(members))
        total, dropped = write_pairs(members, all_pairs, chosen, sample)
        if not total:
            raise no_usable_samples_error(corpus, chosen, dropped)
        with open_database(folder) as connection:
            view(connection, "pairs", all_pairs)
            sampled = write_table(pairs, columns.pairs(), batches(connection, _SAMPLE, {"most": sample}), sample)
        report = on_progress or (lambda _: None)
        write_slice(pool, corpus, pairs, 0, checked, report, keep_metadata=False, curation=curation)
        curated = folder / "curated.parquet"
        with open_database(folder) as connection:
            view_checked(connection, [checked], curated)
            connection.execute("CREATE TABLE earlier (id VARCHAR, split VARCHAR)")
            write_curated(connection, curation, curated)
        with open_database(folder) as connection:
            view_checked(connection, [checked], curated)
            found = dict(connection.execute(_DROPPED).fetchall())
            distributions = find_distributions(connection, curation)
            page.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(page) as part:
                part.write_text(draw_rejected(connection, corpus, curation), encoding="utf-8")
    return CurationPreview(total, sampled, sampled - sum(found.values()), found, distributions)
