"""Manifest of a dataset version: its contents, its source and how it was made."""

from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    JsonValue,
    NonNegativeInt,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from snap2caption.errors import UserError
from snap2caption.formats.documents import StrictDocument, first_fault
from snap2caption.names import Digest, FeedbackId, FileName, Version, is_version
from snap2caption.redaction import redact_url

NAME = "manifest.json"
"""The manifest's file name. The manifest is published last, so if it exists, the version is complete."""

PRUNING = "pruning"
"""The name of the object that marks a version that is being removed from its store. It is removed last."""

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


class CorpusSource(StrictDocument):
    """The source of the corpus."""

    urls: tuple[str, ...]
    sha256: Digest

    @field_validator("urls")
    @classmethod
    def _redact(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        # Keep the place, but not the credentials: the manifest is copied along with the version.
        return tuple(map(redact_url, urls))


def _not_the_manifest(name: str) -> str:
    # Some file systems do not distinguish case.
    if name.lower() == NAME:
        raise ValueError("should not be the manifest's own name")
    return name


_Listed = Annotated[FileName, AfterValidator(_not_the_manifest)]


class Shard(StrictDocument):
    """A tar file of samples.

    ``cities`` counts its samples by city, so that a reader can choose shards without fetching them.
    """

    name: _Listed
    sha256: Digest
    samples: NonNegativeInt
    bytes: NonNegativeInt
    cities: dict[str, NonNegativeInt] | None = None


class SplitSummary(StrictDocument):
    """One split: its number of samples, in total and by city, and its shards."""

    samples: NonNegativeInt
    cities: dict[str, NonNegativeInt]
    shards: tuple[Shard, ...]


class File(StrictDocument):
    """A file of the version that is not a shard."""

    name: _Listed
    sha256: Digest
    bytes: NonNegativeInt


class PhotoMetadata(StrictDocument):
    """How many photos of the version came with metadata (EXIF and the like), and how many of these revealed their
    location.

    The setting ``keep_metadata`` says whether it was dropped.
    """

    photos: NonNegativeInt
    located: NonNegativeInt


class AnnotationOrigin(StrictDocument):
    """An annotation in Label Studio and its annotator, both by their numbers there."""

    annotation: int
    annotator: Annotated[str, StringConstraints(pattern=r"^[0-9]+$")]


class SampleOrigin(StrictDocument):
    """The annotations behind a feedback sample. Its words come from the first one.

    ``agreement`` is how far the others agree, from 0 to 1; None if there are no others.
    """

    annotations: tuple[AnnotationOrigin, ...]
    agreement: float | None = None


class FeedbackOrigin(StrictDocument):
    """The origin of a feedback version: its samples by feedback id, and the corpus version whose held-out photos it
    excludes.
    """

    corpus: Version
    samples: dict[FeedbackId, SampleOrigin]


class Manifest(StrictDocument):
    """A dataset version. ``version`` is derived from content and settings, so the same input gives the same version."""

    version: Version
    source: CorpusSource
    settings: dict[str, JsonValue]
    dropped: dict[str, NonNegativeInt]
    splits: dict[Split, SplitSummary]
    hashtags: File
    assignments: File | None = None
    card: File | None = None
    records: dict[Split, File] | None = None
    """The table of each split's samples (`snap2caption.datasets.records`). None in versions made before there were any."""
    croissant: File | None = None
    """The version's description for other tools (`snap2caption.datasets.croissant`)."""
    metadata: PhotoMetadata | None = None
    feedback: FeedbackOrigin | None = None
    created: datetime | None = None
    withdrawn: datetime | None = None
    """When the photos and words were deleted, because feedback in the version was erased.

    The manifest remains, so that the training data of models can still be traced.
    """

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        # In lower case, as `_not_the_manifest` compares them.
        names = Counter(file.name.lower() for file in self.files())
        twice = [name for name, count in names.items() if count > 1]
        if twice:
            raise ValueError(f"{twice[0]} is listed twice")
        return self

    def check_place(self, where: str) -> None:
        """Check that *where*, a path or URI that may end in a version's name, is the place of this version.

        Raises:
            UserError: it is the place of another version.
        """
        asked = where.rstrip("/").rpartition("/")[2]
        # A folder with another name (such as a mount) does not request a specific version.
        if is_version(asked) and asked != self.version:
            raise UserError(
                f"{where} holds the manifest of version {self.version}, not of {asked}; load version {asked} again, "
                f"or give the place of {self.version}."
            )

    def files(self) -> list[File]:
        """Return every file of the version except the manifest itself, shards first."""
        shards = [
            File(name=shard.name, sha256=shard.sha256, bytes=shard.bytes)
            for split in self.splits.values()
            for shard in split.shards
        ]
        others = (self.hashtags, self.assignments, self.card, *(self.records or {}).values(), self.croissant)
        return shards + [file for file in others if file is not None]

    def find(self, file: File, folder: Path) -> Path:
        """Return the path of a file of the version in its *folder*.

        Raises:
            UserError: a symbolic link leads out of the folder.
        """
        path = folder / file.name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise UserError(f"{path} is a link that leads out of the version's folder; copy the file itself there.")
        return path

    @classmethod
    def parse(cls, data: bytes, where: str) -> "Manifest":
        """Parse a manifest. *where* names it in errors."""
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            raise UserError(
                f"{where} is not a dataset manifest ({first_fault(error)}); make the dataset again with `transform`."
            ) from error

    @classmethod
    def read(cls, path: Path) -> "Manifest":
        """Read the manifest at *path*, which is the file or the folder that holds it.

        Raises:
            UserError: it does not exist, is not readable, or belongs to another version.
        """
        file = path / NAME if path.is_dir() else path
        try:
            data = file.read_bytes()
        except OSError as error:
            raise UserError(
                f"No dataset at {path} ({error.strerror}); give the folder that `transform` wrote."
            ) from error
        manifest = cls.parse(data, str(file))
        manifest.check_place(str(file.parent.resolve()))
        return manifest

    def dump(self) -> bytes:
        """Return the manifest as the bytes of its file."""
        return self.model_dump_json(indent=2, exclude_none=True).encode() + b"\n"
