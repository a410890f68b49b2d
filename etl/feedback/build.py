"""Dataset version from annotators' corrections.

The corrections are packed as an ordinary corpus zip, and the transform makes the version: grouping, split,
shards, tables and card work as for the corpus. This module adds the origin of each sample, and ensures that no
copy of a photo that the corpus holds out is learned from.
"""

import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from etl.feedback import ledger
from etl.feedback.annotated import AnnotatedFeedback, JudgedFeedback, list_annotated, read_judged
from etl.feedback.judgment import AnnotationRejection, Correction
from etl.feedback.ledger import NEWEST, FeedbackVersion
from etl.feedback.protect import HeldOutPhotos, read_held_out
from etl.feedback.records import erased, read_photo
from etl.feedback.retraining import correction_keys, new_since
from etl.feedback.versions import versions_uri, work_folder
from etl.load import load
from etl.transform import transform
from etl.transform.archive.cities import ALL
from etl.transform.archive.members import normalize_city
from etl.transform.cleaning.picture import hash_picture
from etl.transform.columns import assigned
from etl.transform.rejection_reasons import RejectionReason
from etl.transform.stages.merge import describe, file_of, hash_of
from etl.transform.working_tables import write_table
from etl.transform.writing.card import CARD, DataCard
from etl.transform.writing.tables import ASSIGNMENTS, HASHTAGS
from snap2caption.datasets.manifest import (
    NAME,
    SPLITS,
    AnnotationOrigin,
    CorpusSource,
    FeedbackOrigin,
    File,
    Manifest,
    SampleOrigin,
    Split,
)
from snap2caption.datasets.shards import read_shard
from snap2caption.datasets.version import DatasetVersion
from snap2caption.errors import UserError
from snap2caption.parallel import map_ahead
from snap2caption.post import render
from snap2caption.store import ObjectStore, open_store
from snap2caption.store.documents import READERS, put_document

ELSEWHERE = "elsewhere"
"""City of a photo whose creator named no city of the corpus."""

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""Earliest timestamp that a zip supports, used for every member: the same content must give the same bytes."""


@dataclass(frozen=True, slots=True)
class BuiltVersion:
    """A feedback version, and the corpus version that it was built to be mixed with."""

    version: str
    uri: str
    corpus_uri: str
    samples: dict[Split, int]
    dropped: dict[str, int]
    new: int
    """Samples that no training has started with yet."""


def build(
    feedback_uri: str, datasets_uri: str, corpus_uri: str, state: Path, *, seed: int, workers: int | None = None
) -> BuiltVersion:
    """Make a version of all corrections so far, and load it to ``<datasets_uri>/feedback/<version>``.

    All corrections are read, in parallel. A version is named after its content: without new corrections it is the
    existing one. Splits never change
    once drawn. If killed at any point and run again, the result is the same. Its working files are removed at
    the end, or by the next run: feedback can be erased, so no copy may remain.

    Args:
        feedback_uri: the feedback store.
        datasets_uri: where dataset versions are loaded to.
        corpus_uri: the corpus version to mix with.
        state: the folder for work in progress, and for the hashes of the corpus's photos.
        seed: seed of the split.
        workers: number of processes; by default one per processor.

    Raises:
        UserError: no correction can be used.
        StoreError: a store refused or is unavailable.
    """
    store, corpus = open_store(feedback_uri), DatasetVersion.open(corpus_uri)
    with work_folder(state) as work:
        held_out = read_held_out(corpus, state / "feedback" / "held-out", workers)
        folder = _Builder(store, corpus, held_out, work, seed, workers).make(store.uri)
        uri = load(folder, versions_uri(datasets_uri))
        manifest = Manifest.read(folder)
        put_document(store, NEWEST, FeedbackVersion(version=manifest.version, uri=uri))
    return BuiltVersion(
        version=manifest.version,
        uri=uri,
        corpus_uri=corpus.uri,
        samples={split: summary.samples for split, summary in manifest.splits.items()},
        dropped=manifest.dropped,
        new=new_since(store, correction_keys(manifest)),
    )


class _Builder:
    def __init__(
        self,
        store: ObjectStore,
        corpus: DatasetVersion,
        held_out: HeldOutPhotos,
        work: Path,
        seed: int,
        workers: int | None,
    ) -> None:
        self.store = store
        self.corpus = corpus
        self.held_out = held_out
        self.work = work
        self.seed = seed
        self.workers = workers
        self.dropped: Counter[str] = Counter()

    def make(self, source: str) -> Path:
        """Return the folder of the complete version."""
        annotated, missing = list_annotated(self.store)
        if missing:
            self.dropped[AnnotationRejection.ERASED.value] = missing
        earlier = _earlier_splits(self.store, self.work)
        archive = self.work / "corrections.zip"
        packed = self._pack(archive, annotated, earlier)
        if not packed:
            why = ", ".join(f"{reason} {count}" for reason, count in sorted(self.dropped.items())) or "there is none"
            raise UserError(f"No completed annotation can be used ({why}); annotate some tasks, then build again.")
        made = transform(
            archive,
            self.work / "made",
            cities=[ALL],
            seed=self.seed,
            previous=_as_version(self.work / "earlier", earlier),
            source_urls=(source,),
            workers=self.workers,
        )
        # Somebody may have asked to erase their photo in the meantime.
        if gone := erased(self.store) & packed.keys():
            raise UserError(f"Feedback {min(gone)} was erased in the meantime; build again.")
        return self._finish(made, packed)

    def _pack(
        self, archive: Path, annotated: Iterable[AnnotatedFeedback], earlier: dict[str, Split]
    ) -> dict[str, SampleOrigin]:
        """Write the corrections in the corpus's layout, and note in *earlier* which must go to a held-out split.

        A few photos are in memory at a time.

        Returns:
            The origins of the packed corrections by feedback id.
        """
        packed = {}
        with zipfile.ZipFile(archive, "w") as target:
            for judged, photo in map_ahead(self._read, annotated, READERS):
                correction = judged.judgment if judged else AnnotationRejection.ERASED
                if isinstance(correction, AnnotationRejection):
                    self.dropped[correction.value] += 1
                    continue
                if photo is None:
                    self.dropped[str(RejectionReason.MISSING_IMAGE)] += 1
                    continue
                feedback = correction.feedback
                if self._leaks(feedback.id, photo, earlier):
                    self.dropped["held_out_photo"] += 1
                    continue
                city = self._city(feedback.location)
                for name, data in (
                    (f"captions_resized_1M/cities_instagram/{city}/{feedback.id}.txt", render(correction.post)),
                    (f"img_resized_1M/cities_instagram/{city}/{feedback.id}.jpg", photo),
                ):
                    target.writestr(zipfile.ZipInfo(name, _EPOCH), data)
                packed[feedback.id] = _origin(correction)
        return packed

    def _read(self, annotated: AnnotatedFeedback) -> tuple[JudgedFeedback | None, bytes | None]:
        """Return a feedback's content, and its photo if it is usable."""
        judged = read_judged(self.store, annotated)
        if judged is None or not isinstance(judged.judgment, Correction):
            return judged, None
        return judged, read_photo(self.store, judged.judgment.feedback)

    def _leaks(self, identifier: str, photo: bytes, earlier: dict[str, Split]) -> bool:
        """Give a copy of a held-out photo the same split; return whether an earlier version put it into a less
        protected one.

        Such a copy was learned from before the corpus held the photo out, so it is of no use for either split.
        """
        image_hash = hash_picture(photo)
        if isinstance(image_hash, RejectionReason):
            return False  # the transform finds the same, and counts the rejection
        split = self.held_out.split_of(image_hash)
        if split is None:
            return False
        known = earlier.setdefault(identifier, split)
        return SPLITS.index(known) < SPLITS.index(split)

    def _city(self, location: str | None) -> str:
        """Return the corpus's city that the creator named. Their text never becomes a folder name."""
        wanted = normalize_city(location or "")
        return wanted if wanted in self.corpus.manifest.splits["train"].cities else ELSEWHERE

    def _finish(self, made: Path, packed: Mapping[str, SampleOrigin]) -> Path:
        """Return the folder of the version with its lineage, named after its content."""
        plain = Manifest.read(made)
        kept = [
            sample.id
            for summary in plain.splits.values()
            for shard in summary.shards
            for sample in read_shard(made / shard.name)
        ]
        # How the splits came about does not matter, as their table is part of the content.
        settings = {name: value for name, value in plain.settings.items() if name != "previous"}
        origin = FeedbackOrigin(
            corpus=self.corpus.manifest.version,
            samples={identifier: packed[identifier] for identifier in sorted(kept)},
        )
        draft = plain.model_copy(
            update={
                "settings": settings,
                "dropped": dict(sorted((Counter(plain.dropped) + self.dropped).items())),
                "feedback": origin,
                "card": None,
            }
        )
        content = draft.model_dump(
            mode="json", exclude={"version", "source", "created", "withdrawn", "records", "croissant"}
        )
        manifest = draft.model_copy(update={"version": hash_of(content)[:16]})
        folder = self.work / manifest.version
        made.rename(folder)
        DataCard.of_shards(folder / shard.name for shard in manifest.splits["train"].shards).write(folder, manifest)
        manifest = describe(manifest.model_copy(update={"card": file_of(folder, CARD)}), folder)
        (folder / NAME).write_bytes(manifest.dump())
        return folder


def _origin(correction: Correction) -> SampleOrigin:
    return SampleOrigin(
        annotations=tuple(
            AnnotationOrigin(annotation=one.id, annotator=one.annotator) for one in correction.annotations
        ),
        agreement=correction.agreement,
    )


def _earlier_splits(store: ObjectStore, work: Path) -> dict[str, Split]:
    """Return the splits of the newest version, which include those of all earlier ones."""
    import pyarrow.parquet as pq

    newest = ledger.entry(store, NEWEST, FeedbackVersion)
    if newest is None:
        return {}
    dataset = DatasetVersion.open(newest.uri)
    if dataset.manifest.assignments is None:
        return {}
    rows = pq.read_table(dataset.fetch(dataset.manifest.assignments, work / "fetched")).to_pylist()
    return {row["id"]: row["split"] for row in rows}


def _as_version(folder: Path, splits: Mapping[str, Split]) -> Path | None:
    """Return a folder with *splits* in the form in which the transform reads those of an earlier version."""
    import pyarrow as pa

    if not splits:
        return None
    folder.mkdir()
    table = pa.RecordBatch.from_pylist(
        [{"id": id_, "split": split} for id_, split in sorted(splits.items())], assigned()
    )
    write_table(folder / ASSIGNMENTS, assigned(), [table])
    nothing = File(name=HASHTAGS, sha256=hash_of(None), bytes=0)
    manifest = Manifest(
        version=hash_of(dict(splits))[:16],
        source=CorpusSource(urls=(), sha256=hash_of(None)),
        settings={},
        dropped={},
        splits={},
        hashtags=nothing,
        assignments=file_of(folder, ASSIGNMENTS),
    )
    (folder / NAME).write_bytes(manifest.dump())
    return folder
