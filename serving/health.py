"""Health checks: liveness for the supervisor that restarts the service, readiness for the load balancer."""

import time
from collections.abc import Callable
from http import HTTPStatus

from serving.captioning.captioner import Captioner
from serving.captioning.generation import no_model
from serving.captioning.hashtag_tables import HashtagTables
from serving.feedback.service import FeedbackService
from serving.http.problems import ProblemError
from serving.http.readiness_schemas import (
    Condition,
    Degraded,
    Following,
    Hashtags,
    Queue,
    Readiness,
    Refused,
    SharedDatabase,
    Waiting,
    Worker,
)
from serving.models.manager import DependencyContact, ModelManager
from serving.models.served_model import ServedModel
from serving.observability.metrics import CAPACITY, DEGRADED, HASHTAGS_KNOWN, IN_FLIGHT, READY
from serving.scheduling.batcher import Batcher
from serving.settings import ServingSettings
from serving.state.monitor import StateMonitor


class Health:
    """Answers the probes from what is known in memory: nothing here waits for a lock, a disk or another server."""

    def __init__(
        self,
        settings: ServingSettings,
        current: Callable[[], ServedModel | None],
        batcher: Batcher,
        captioner: Captioner,
        models: ModelManager | None,
        tables: HashtagTables | None,
        feedback_service: FeedbackService | None,
        database: StateMonitor | None = None,
    ) -> None:
        self._settings = settings
        self._current = current
        self._batcher = batcher
        self._captioner = captioner
        self._models = models
        self._tables = tables
        self._feedback_service = feedback_service
        self._database = database

    def check_liveness(self) -> None:
        """Fail if only a restart can help. A missing model, a full queue or an unreachable server doesn't count.

        Raises:
            ProblemError: the model's worker has ended or is stuck.
        """
        if self._batcher.ended:
            detail = "The model's worker has ended; see the log, then restart the service."
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "worker_ended", detail)
        if self._batcher.seconds_since_progress > self._settings.stuck_seconds:
            detail = (
                f"The model has not responded for {self._batcher.seconds_since_progress:.0f} s; restart the service."
            )
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "worker_stuck", detail)

    def readiness(self) -> Readiness:
        """Return the model in service, or None before the first promotion, and the service's condition.

        Raises:
            ProblemError: requests can't be answered.
        """
        self.check_liveness()
        if self._database and not self._database.reachable:
            detail = "The database that replicas share can't be reached; see the log."
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "away", detail)
        served = self._current()
        if served is None and not self._may_be_without_model():
            raise no_model(self._settings)
        version = served.engine.version if served else None
        return Readiness(model_version=version, limitations=self.limitations, **dict(self.condition()))

    @property
    def limitations(self) -> str | None:
        """The limitations of the model in service, from its base's model card; None if it names none."""
        served = self._current()
        return (served.card.limitations or None) if served else None

    def condition(self) -> Condition:
        """Return the service's condition, ready or not."""
        silence = self._batcher.seconds_since_progress
        registry, hashtags, refused = self._registry(), self._hashtags(), self._champion_refused()
        return Condition(
            degraded=[
                *([Degraded.REGISTRY] if registry and not registry.reachable else ()),
                *([Degraded.CHAMPION] if refused else ()),
                *([Degraded.HASHTAGS] if hashtags and self._lacks_hashtags(hashtags) else ()),
            ],
            worker=Worker(alive=not self._batcher.ended, silent_seconds=round(silence, 3)),
            queue=Queue(
                inside=self._captioner.load.in_flight,
                capacity=self._settings.capacity,
                expected_wait_seconds=round(self._captioner.load.expected_wait, 3),
                overloaded=self._captioner.load.is_full(),
            ),
            database=self._shared_database(),
            registry=registry,
            champion_refused=refused,
            hashtags=hashtags,
            feedback=self._feedback(),
        )

    def observe(self) -> None:
        """Set the gauges that are computed at scrape time."""
        condition = self.condition()
        READY.set(self._writes_captions())
        for what in Degraded:
            DEGRADED.labels(what).set(what in condition.degraded)
        IN_FLIGHT.set(condition.queue.inside)
        CAPACITY.set(condition.queue.capacity)
        HASHTAGS_KNOWN.set(condition.hashtags.known if condition.hashtags else 0)

    def _may_be_without_model(self) -> bool:
        return self._settings.ready_without_model and bool(self._models and self._models.awaits_first_champion)

    def _writes_captions(self) -> bool:
        try:
            return self.readiness().model_version is not None
        except ProblemError:
            return False

    def _shared_database(self) -> SharedDatabase | None:
        monitor = self._database
        return (
            SharedDatabase(reachable=monitor.reachable, last_contact_seconds=round(monitor.silence, 3))
            if monitor
            else None
        )

    def _registry(self) -> Following | None:
        contact = self._models.contact if self._models else None
        if contact is None:
            return None
        return Following(reachable=contact.reachable, last_contact_seconds=_seconds_since(contact))

    def _champion_refused(self) -> Refused | None:
        refused = self._models.refused if self._models else None
        return Refused(version=refused[0], reason=refused[1]) if refused else None

    def _hashtags(self) -> Hashtags | None:
        served = self._current()
        contact = self._tables.contact if self._tables else None
        if served is None or self._tables is None or contact is None:
            return None
        return Hashtags(
            known=len(self._tables.current(served)),
            version=self._tables.version,
            reachable=contact.reachable,
            last_contact_seconds=_seconds_since(contact),
        )

    def _lacks_hashtags(self, hashtags: Hashtags) -> bool:
        # A model that is served by its name needs no corpus.
        served = self._current()
        needed = hashtags.version is not None or (served is not None and served.version is not None)
        return needed and not (hashtags.reachable and hashtags.known)

    def _feedback(self) -> Waiting | None:
        depth = self._feedback_service.waiting if self._feedback_service else None
        if depth is None:
            return None
        return Waiting(feedback=depth.feedback, erasures=depth.erasures, oldest_seconds=round(depth.oldest, 3))


def _seconds_since(contact: DependencyContact) -> float | None:
    return None if contact.at is None else round(time.monotonic() - contact.at, 3)
