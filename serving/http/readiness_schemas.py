"""Response schemas of the readiness probe."""

from enum import StrEnum

from pydantic import BaseModel, Field

from serving.models.trust import DistrustReason


class Worker(BaseModel):
    """The thread that runs the model."""

    alive: bool
    silent_seconds: float = Field(
        description="How long the current token, or the prefill of a batch, has taken so far."
    )


class Queue(BaseModel):
    """Photos that are waiting or being captioned."""

    inside: int
    capacity: int
    expected_wait_seconds: float
    overloaded: bool = Field(description="Whether a further request would be refused with 503 now.")


class Following(BaseModel):
    """The model registry, which decides what model is in service. While it is unreachable, the model stays the same."""

    reachable: bool = Field(description="Whether the last request to it succeeded.")
    last_contact_seconds: float | None = Field(
        description="Seconds since it answered last; null: it hasn't answered since the start."
    )


class SharedDatabase(BaseModel):
    """The database that replicas share. While it is unreachable, no request that needs a key can be answered."""

    reachable: bool = Field(description="Whether it answered when it was last asked, which is every second.")
    last_contact_seconds: float = Field(description="Seconds since it answered last.")


class Refused(BaseModel):
    """The registry's champion, if it was not put into service. Another model stays there; the champion is retried."""

    version: int
    reason: DistrustReason = Field(
        description="tags: its registry entry doesn't describe a valid model; base: its base model is not allowed; "
        "digest: its adapter is not the one that was promoted; signature: the required key has not signed this "
        "version; broken: it can't be fetched or loaded, or writes no caption. The log says more."
    )


class Hashtags(BaseModel):
    """The hashtag table from the corpus. While its store is unreachable, the last table that was read is used."""

    known: int = Field(description="Number of hashtags. 0: no table could be read, so answers have general hashtags.")
    version: str | None = Field(
        description="Dataset version of the table; null: the version that the model was trained on, because no newer "
        "one was found."
    )
    reachable: bool = Field(description="Whether the last attempt to read the newest version's table succeeded.")
    last_contact_seconds: float | None = Field(
        description="Seconds since it succeeded last; null: it hasn't succeeded since the start."
    )


class Waiting(BaseModel):
    """What waits on the disk for the feedback store, as of the last check."""

    feedback: int
    erasures: int
    oldest_seconds: float


class Degraded(StrEnum):
    """What does not work as it should, although the service still writes captions."""

    REGISTRY = "registry"
    """The registry is unreachable: new models are not picked up."""
    CHAMPION = "champion"
    """The registry's champion was refused: another model stays in service."""
    HASHTAGS = "hashtags"
    """The datasets' store is unreachable: new hashtags, or all of the corpus's hashtags, are missing."""


class Condition(BaseModel):
    """The service's condition."""

    degraded: list[Degraded] = Field(
        description="What does not work as it should, although the service still writes captions: the registry or the "
        "hashtags' store is unreachable, or the champion was refused."
    )

    worker: Worker
    queue: Queue
    database: SharedDatabase | None = Field(description="null: the state is in files on this machine.")
    registry: Following | None = Field(description="null: no registry is used.")
    champion_refused: Refused | None = Field(
        description="null: the registry's champion is in service, or there is none."
    )
    hashtags: Hashtags | None = Field(description="null: no model is in service, or no datasets are used.")
    feedback: Waiting | None = Field(description="null: feedback is disabled, or its queue hasn't been checked yet.")


class Readiness(Condition):
    """The model in service and the service's condition. A refusal has the same fields except the model."""

    model_version: str | None = Field(
        examples=["snap2caption/3"],
        description="null: no model was promoted yet, and the service is ready without one.",
    )
    limitations: str | None = Field(
        description="What the model's captions can't be used for, from its base's model card; null: the card names "
        "nothing."
    )
