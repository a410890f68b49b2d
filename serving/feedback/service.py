"""Feedback service: validates feedback and erasures, writes them to the outbox, and updates the creator's voice."""

import hashlib
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus

from serving.feedback.delivery.delivery_lock import DeliveryLock
from serving.feedback.delivery.outbox_worker import OutboxWorker
from serving.feedback.metrics import ERASURES, FEEDBACK, KEEP_FAILURES, OUTBOX_LIMIT, observe
from serving.feedback.outbox import KnownFeedback, Outbox, OutboxDepth, OutboxFullError, OutboxState
from serving.feedback.photo import encode_photo
from serving.feedback.request_cache import CachedRequest, RequestCache
from serving.feedback.schemas import Submission
from serving.feedback.store import repository
from serving.feedback.voice_sync import VoiceSync, VoiceWriter
from serving.http.problems import ProblemError, state_away
from serving.settings import ServingSettings
from serving.state.database import StateError
from serving.state.opening import open_database
from serving.state.tables import Section
from serving.voice.repository import VoiceStore
from snap2caption.feedback import Feedback, Words, owner_of
from snap2caption.images import ImageError
from snap2caption.store import ObjectStore, StoreError, StoreTimeouts, open_store


@dataclass(frozen=True, slots=True)
class FeedbackReceipt:
    """A feedback's id, and whether it was accepted before."""

    id: str
    repeated: bool


class FeedbackService:
    """Accepts feedback and erasures. All methods block, and may be called from any thread."""

    def __init__(
        self, settings: ServingSettings, store: ObjectStore, voices: VoiceWriter, lookup: ObjectStore | None = None
    ) -> None:
        """Open the database.

        Args:
            settings: folder and limits.
            store: the feedback store.
            voices: the creators' saved captions.
            lookup: the same store with short timeouts, for calls that a request waits for.
        """
        self._database = open_database(settings, Section.FEEDBACK)
        self._outbox = Outbox(self._database, max_bytes=settings.feedback_spool_bytes)
        OUTBOX_LIMIT.set(settings.feedback_spool_bytes)
        self._request_cache = RequestCache(
            self._database, seconds=settings.feedback_keep_seconds, max_bytes=settings.feedback_keep_bytes
        )
        self._lookup = lookup or store
        self._voices = voices
        self._voice_sync = VoiceSync(self._database, voices)
        self._max_pixels = settings.max_pixels
        self._worker = OutboxWorker(
            self._database,
            self._outbox,
            self._request_cache,
            self._voice_sync,
            store,
            DeliveryLock(settings.feedback_dir),
        )

    def start(self) -> None:
        """Start to deliver the outbox to the store."""
        self._worker.start()

    def close(self) -> None:
        """Stop. Undelivered entries stay on the disk."""
        self._worker.close()
        self._database.close()

    @property
    def waiting(self) -> OutboxDepth | None:
        """Depth of the outbox at the last check; None before the first one."""
        return self._worker.depth

    def keep(self, request_id: str, creator: str, content: CachedRequest, photo: bytes) -> None:
        """Keep a caption request for feedback.

        If the disk is full or fails, the request is not kept and the failure is counted: the creator still gets the
        caption.
        """
        try:
            self._request_cache.keep(request_id, creator, content, encode_photo(photo, self._max_pixels))
        except StateError:
            KEEP_FAILURES.inc()

    def accept(self, creator: str, submission: Submission, image: bytes | None, key: str | None) -> FeedbackReceipt:
        """Accept a feedback. It is on the disk when this returns.

        Args:
            creator: the sender's id.
            submission: the feedback.
            image: the creator's own photo, encoded, if the feedback refers to no request.
            key: the client's idempotency key. Two submissions with the same key are one feedback.

        Raises:
            ProblemError: the feedback is refused, or there is no room for it.
        """
        identifier = uuid.uuid4().hex if key is None else _digest(f"{creator} {key}".encode())[:32]
        digest = _digest(submission.model_dump_json().encode() + b" " + _digest(image or b"").encode())
        with _disk_problems():
            known = None if key is None else self._outbox.find(identifier)
            if known is None:
                feedback, photo = self._record(identifier, creator, submission, image)
                known = self._outbox.add(feedback, photo, digest)
                if known is None:
                    if self._is_counted(feedback):
                        observe(feedback)
                    self._voice_sync.catch_up()
                    self._worker.wake()
        if known is not None:
            _check_same(known, digest)
        FEEDBACK.labels("accepted" if known is None else "repeated").inc()
        return FeedbackReceipt(identifier, known is not None)

    def is_here(self, identifier: str) -> bool:
        """Return whether a feedback is known on this machine. Then `erase` doesn't call the store."""
        with _disk_problems():
            return self._outbox.find(identifier) is not None

    def erase(self, creator: str, identifier: str) -> None:
        """Erase a creator's feedback here, and queue its erasure in the store. Repeating it changes nothing.

        Raises:
            ProblemError: the creator has no such feedback, or only the store could tell and it is unreachable.
        """
        with _disk_problems():
            known = self._outbox.find(identifier)
            # An erased feedback has only its owner's digest.
            owners = {creator, owner_of(identifier, creator)}
            if not (known.creator in owners if known else self._is_stored(creator, identifier)):
                detail = "You have sent no feedback with this id; check the id."
                raise ProblemError(HTTPStatus.NOT_FOUND, "unknown_feedback", detail)
            self._outbox.erase(identifier, creator)
            if known and known.request:
                self._request_cache.forget_request(creator, known.request)
            self._voices.remove(creator, identifier)
            self._database.scrub()
        ERASURES.labels("feedback").inc()
        self._worker.wake()

    def erase_all(self, creator: str) -> None:
        """Erase all of a creator's feedback, voice and kept requests here, and queue the erasure in the store."""
        with _disk_problems():
            self._outbox.erase_creator(creator)
            self._request_cache.forget(creator)
            self._voices.forget(creator)
            self._database.scrub()
        ERASURES.labels("creator").inc()
        self._worker.wake()

    def is_known(self, creator: str) -> bool:
        """Return whether there is, or was until an erasure, any data of the creator, here or in the store.

        Raises:
            StoreError: there is none here, and the store is unreachable.
        """
        local = self._outbox.has(creator) or self._request_cache.has(creator) or self._voices.captions(creator, 1)
        return bool(local) or repository.is_known(self._lookup, creator)

    def is_erased(self, creator: str, identifier: str | None = None) -> bool:
        """Return whether the requested erasures, of one feedback or of all of the creator's, are done in the store."""
        with _disk_problems():
            return not self._outbox.is_erasing(creator, identifier)

    def _is_counted(self, feedback: Feedback) -> bool:
        """Return whether the metrics count a feedback.

        Of several ratings of one caption by the same creator, they count only the first. The later ones replace it only
        in the store.
        """
        if feedback.rating is None or feedback.request_id is None:
            return True
        return self._outbox.is_first_rating(feedback.creator, feedback.request_id, feedback.variant)

    def _is_stored(self, creator: str, identifier: str) -> bool:
        try:
            return repository.is_owned(self._lookup, creator, identifier)
        except StoreError as error:
            raise store_unavailable() from error

    def _record(
        self, identifier: str, creator: str, submission: Submission, image: bytes | None
    ) -> tuple[Feedback, bytes]:
        """Return the feedback and its photo as they are stored."""
        if submission.request_id is not None:
            cached = self._request_cache.find(submission.request_id, creator)
            if cached is None or submission.variant >= len(cached[0].variants):
                raise ProblemError(
                    HTTPStatus.NOT_FOUND,
                    "unknown_request",
                    "No request of yours with this id and variant is kept; "
                    "send the photo itself, or request captions with keep_for_feedback.",
                )
            content, photo = cached
            shown: Words | None = content.variants[submission.variant]
        else:
            content, photo = None, self._encode(image or b"")
            shown = submission.shown
        feedback = Feedback(
            id=identifier,
            creator=creator,
            received=datetime.now(UTC),
            photo=_digest(photo),
            shown=shown,
            edited=submission.edited(shown),
            rating=submission.rating,
            reason=submission.reason,
            flagged=submission.flag,
            request_id=submission.request_id,
            variant=submission.variant,
            model_version=content.model_version if content else None,
            tone=content.tone if content else submission.tone,
            location=content.location if content else submission.location,
            # The confidence is that of the first variant; the others were sampled.
            confidence=content.confidence if content and submission.variant == 0 else None,
        )
        return feedback, photo

    def _encode(self, image: bytes) -> bytes:
        try:
            return encode_photo(image, self._max_pixels)
        except ImageError as error:
            status = (
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE if error.reason == "too_large" else HTTPStatus.UNPROCESSABLE_ENTITY
            )
            raise ProblemError(status, f"image_{error.reason}", str(error)) from error


def open_feedback_service(settings: ServingSettings, feedback_uri: str) -> FeedbackService:
    """Return the feedback service over the store at *feedback_uri* and the captioning service's voices.

    Raises:
        UserError: the URI is invalid, or a file can't be used.
    """
    lookup = open_store(feedback_uri, StoreTimeouts(seconds=settings.feedback_store_seconds, attempts=1))
    return FeedbackService(
        settings, open_store(feedback_uri), VoiceStore(open_database(settings, Section.VOICES)), lookup
    )


def store_unavailable() -> ProblemError:
    """Return the refusal of a request that needs the feedback store while it is unreachable."""
    detail = "The feedback store is temporarily unavailable; try again later."
    return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "store_away", detail, 30)


@contextmanager
def _disk_problems() -> Iterator[None]:
    """Raise `ProblemError` if the disk or the outbox is full, or the disk fails."""
    try:
        yield
    except OutboxFullError as error:
        raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "spool_full", str(error), 60) from error
    except StateError as error:
        if error.away:
            raise state_away(error) from error
        if error.full:
            detail = "The service's disk is full; send it again later."
            raise ProblemError(HTTPStatus.INSUFFICIENT_STORAGE, "disk_full", detail, 60) from error
        raise _disk_failed() from error


def _disk_failed() -> ProblemError:
    return ProblemError(
        HTTPStatus.SERVICE_UNAVAILABLE, "disk_failed", "The service's disk has an error; send it again later.", 60
    )


def _check_same(known: KnownFeedback, digest: str) -> None:
    """Check that a submission with a known idempotency key is the same as before, and was not erased."""
    if known.state in {OutboxState.ERASING, OutboxState.ERASED}:
        detail = "This feedback was erased; send a new one with another Idempotency-Key."
        raise ProblemError(HTTPStatus.GONE, "erased", detail)
    if known.submission != digest:
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "key_reused",
            "This Idempotency-Key was used for another feedback; use a new key for each feedback.",
        )


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
