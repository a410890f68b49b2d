import io
from collections.abc import Callable
from pathlib import Path

import pytest
from feedbacks import Box, draw, identifier
from PIL import Image

from demo.corpus.archive import write_corpus
from etl.feedback.annotated import list_annotated, read_judged
from etl.feedback.build import BuiltVersion
from etl.feedback.retraining import note_retraining
from etl.transform import transform
from etl.transform.cleaning.picture import hash_picture
from etl.verify import verify
from snap2caption.datasets.manifest import AnnotationOrigin, SampleOrigin
from snap2caption.datasets.shards import Sample, read_shard
from snap2caption.datasets.version import DatasetVersion
from snap2caption.errors import UserError

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def test_photo(corpus: DatasetVersion, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    shard = corpus.manifest.splits["test"].shards[0]
    first: Sample = next(iter(read_shard(corpus.fetch(shard, tmp_path_factory.mktemp("shards")))))
    return first.photo()


def annotated(box: Box, numbers: range) -> None:
    for number in numbers:
        box.send(number, location="Chicago" if number % 2 else "Atlantis/../..")
        box.annotate(number)


def splits(built: BuiltVersion, folder: Path) -> dict[str, str]:
    """Return the split of each sample."""
    dataset = DatasetVersion.open(built.uri)
    return {
        sample.id: split
        for split, summary in dataset.manifest.splits.items()
        for shard in summary.shards
        for sample in read_shard(dataset.fetch(shard, folder))
    }


def test_a_version_tells_where_each_sample_came_from(
    box: Box, corpus: DatasetVersion, state: Path, make: Callable[..., BuiltVersion], tmp_path: Path
) -> None:
    annotated(box, range(12))
    box.annotate(3, annotator=2)
    built = make()
    dataset = DatasetVersion.open(built.uri)
    assert built.uri == f"{(tmp_path / 'datasets').as_uri()}/feedback/{built.version}"
    assert verify(dataset) == []
    kept = splits(built, tmp_path / "read")
    assert set(kept) == {identifier(number) for number in range(12)}
    manifest = dataset.manifest
    assert set(manifest.splits["train"].cities) == {"chicago", "elsewhere"}
    assert manifest.feedback.corpus == corpus.manifest.version
    assert set(manifest.feedback.samples) == set(kept)
    assert manifest.feedback.samples[identifier(3)] == SampleOrigin(
        annotations=(AnnotationOrigin(annotation=31, annotator="1"), AnnotationOrigin(annotation=32, annotator="2")),
        agreement=1.0,
    )
    assert (built.new, sum(built.samples.values())) == (12, 12)
    (third,) = [one for one in list_annotated(box.store)[0] if one.id == identifier(3)]
    stored = {
        sample.id: sample.post
        for summary in manifest.splits.values()
        for shard in summary.shards
        for sample in read_shard(dataset.fetch(shard, tmp_path / "read"))
    }
    assert stored[identifier(3)] == read_judged(box.store, third).judgment.post
    # Nothing of what creators sent stays with the worker.
    left = [path for path in state.rglob("*") if path.is_file() and path.suffix not in {".hashes", ""}]
    assert left == []


def test_the_same_annotations_give_the_same_version(box: Box, make: Callable[..., BuiltVersion]) -> None:
    annotated(box, range(5))
    first = make()
    assert make() == first
    # Words changed under the same number are other content.
    box.annotate(2, "Something else altogether.", at=9)
    assert make().version != first.version


def test_splits_stand_when_more_comes(box: Box, make: Callable[..., BuiltVersion], tmp_path: Path) -> None:
    annotated(box, range(8, 16))
    before = splits(make(), tmp_path / "read")
    annotated(box, range(20))
    after = splits(make(), tmp_path / "read")
    assert len(after) == 20
    assert {identifier_: after[identifier_] for identifier_ in before} == before


def test_what_was_erased_is_in_no_later_version(box: Box, make: Callable[..., BuiltVersion], tmp_path: Path) -> None:
    annotated(box, range(6))
    first = make()
    box.erase(box.send(3))
    second = make()
    assert identifier(3) not in splits(second, tmp_path / "read")
    assert identifier(3) not in DatasetVersion.open(second.uri).manifest.feedback.samples
    assert second.version != first.version
    assert second.dropped["erased"] == 1


def test_a_copy_of_a_held_out_photo_is_never_learned_from(
    box: Box, make: Callable[..., BuiltVersion], test_photo: bytes, tmp_path: Path
) -> None:
    copies = []
    for quality in (95, 60, 35):
        stream = io.BytesIO()
        copy = Image.open(io.BytesIO(test_photo)).resize((280, 280))
        (copy.transpose(Image.Transpose.TRANSVERSE) if quality == 60 else copy).save(stream, "JPEG", quality=quality)
        copies.append(stream.getvalue())
    annotated(box, range(4))
    for number, copy in enumerate(copies, start=100):
        box.send(number, photo=copy)
        box.annotate(number)
    kept = splits(make(), tmp_path / "read")
    assert {kept[identifier(number)] for number in (100, 101, 102)} == {"test"}


def test_one_learned_from_before_it_was_held_out_is_left_out(
    box: Box, make: Callable[..., BuiltVersion], corpus: DatasetVersion, test_photo: bytes, tmp_path: Path
) -> None:
    """The newer corpus version tests on a photo that an earlier version of feedback trained on."""
    folder = tmp_path / "older"
    archive = write_corpus(tmp_path / "older.zip", 60, 77)
    older = transform(archive, folder, workers=1)
    number = 100  # so few samples as there are here all go to train
    box.send(number, photo=test_photo)
    box.annotate(number)
    annotated(box, range(3))
    assert splits(make(older.as_uri()), tmp_path / "read")[identifier(number)] == "train"
    later = make(corpus.uri)
    assert later.dropped["held_out_photo"] == 1
    assert identifier(number) not in splits(later, tmp_path / "read")


def test_what_a_training_was_started_with_is_no_longer_new(box: Box, make: Callable[..., BuiltVersion]) -> None:
    annotated(box, range(4))
    first = make()
    assert first.new == 4
    assert note_retraining(box.store, first.uri) == note_retraining(box.store, first.uri) == first.version
    assert make().new == 0
    annotated(box, range(4, 6))
    assert make().new == 2


def test_without_a_usable_annotation_there_is_no_version(box: Box, make: Callable[..., BuiltVersion]) -> None:
    box.send(1)
    box.annotate(1, unusable="broken")
    with pytest.raises(UserError, match=r"No completed annotation can be used \(unusable 1\)"):
        make()


def test_a_photo_that_is_gone_is_counted(box: Box, make: Callable[..., BuiltVersion]) -> None:
    annotated(box, range(3))
    box.store.delete(next(found.key for found in box.store.list("photos/")))
    assert make().dropped["missing_image"] == 1


def test_photos_that_are_drawn_are_all_different() -> None:
    """So that none of these tests loses samples to another's copy."""
    assert len({hash_picture(draw(number)) for number in range(24)}) == 24
