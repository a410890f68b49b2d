"""What becomes of feedback and of the wish to have it erased: looked up, checked, on the disk, and known as the creator's voice."""

import hashlib
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus

from serving.feedback import repository
from serving.feedback.database import Database, DiskError
from serving.feedback.metrics import ERASURES, FEEDBACK, KEEP_FAILURES, observe
from serving.feedback.outbox import KnownFeedback, Outbox, OutboxDepth, OutboxFullError, OutboxState
from serving.feedback.outbox_worker import OutboxWorker
from serving.feedback.photo import encode_photo
from serving.feedback.request_cache import CachedRequest, RequestCache
from serving.feedback.schemas import Submission
from serving.feedback.voice_sync import VoiceSync, VoiceWriter
from serving.http.problems import ProblemError
from serving.settings import ServingSettings
from serving.voice.repository import VoiceStore
from snap2caption.errors import UserError
from snap2caption.feedback import Feedback, Words, owner_of
from snap2caption.images import ImageError
from snap2caption.store import ObjectStore, StoreError, StoreTimeouts, open_store


@dataclass(frozen=True, slots=True)
class FeedbackReceipt:
    """A feedback's id, and whether it had been taken before."""

    id: str
    repeated: bool


class FeedbackService:
    """Takes feedback and erasures. Everything here blocks, and may be called from any thread."""

    def __init__(
        self, settings: ServingSettings, store: ObjectStore, voices: VoiceWriter, lookup: ObjectStore | None = None
    ) -> None:
        """Somebody waits for what is asked of *lookup*, the same store with less patience."""
        self._database = Database(settings.feedback_dir / "feedback.sqlite")
        self._outbox = Outbox(self._database, most=settings.feedback_spool_bytes)
        self._request_cache = RequestCache(
            self._database, seconds=settings.feedback_keep_seconds, most=settings.feedback_keep_bytes
        )
        self._lookup = lookup or store
        self._voices = voices
        self._voice_sync = VoiceSync(self._outbox, voices)
        self._max_pixels = settings.max_pixels
        self._worker = OutboxWorker(
            self._database,
            self._outbox,
            self._request_cache,
            self._voice_sync,
            store,
            settings.feedback_dir / "delivery.lock",
        )

    def start(self) -> None:
        """Begin to bring what waits to the store."""
        self._worker.start()

    def close(self) -> None:
        """Stop; what waits stays on the disk."""
        self._worker.close()
        self._database.close()

    @property
    def waiting(self) -> OutboxDepth | None:
        """What waited for the store when that was last looked at."""
        return self._worker.depth

    def keep(self, request_id: str, creator: str, content: CachedRequest, photo: bytes) -> None:
        """Keep a request for feedback. Without room it is not kept, and that is counted: the caption is what was asked for."""
        try:
            self._request_cache.keep(request_id, creator, content, encode_photo(photo, self._max_pixels))
        except DiskError:
            KEEP_FAILURES.inc()

    def take(self, creator: str, submission: Submission, image: bytes | None, key: str | None) -> FeedbackReceipt:
        """Take a feedback: once this returns it is on the disk.

        Args:
            creator: who sent it.
            submission: what they said.
            image: the encoded photo of their own, if it refers to no request.
            key: the client's own idempotency key: the same one twice is one feedback.

        Raises:
            ProblemError: it is refused, or there is no room.
        """
        identifier = uuid.uuid4().hex if key is None else _digest(f"{creator} {key}".encode())[:32]
        submitted = _digest(submission.model_dump_json().encode() + b" " + _digest(image or b"").encode())
        with _room():
            known = None if key is None else self._outbox.look(identifier)
            if known is None:
                feedback, photo = self._record(identifier, creator, submission, image)
                known = self._outbox.add(feedback, photo, submitted)
                if known is None:
                    if self._counts(feedback):
                        observe(feedback)
                    self._voice_sync.catch_up()
                    self._worker.wake()
        if known is not None:
            _check_same(known, submitted)
        FEEDBACK.labels("accepted" if known is None else "repeated").inc()
        return FeedbackReceipt(identifier, known is not None)

    def is_here(self, identifier: str) -> bool:
        """Whether a feedback is known on this machine: `erase` then asks no store."""
        with _room():
            return self._outbox.look(identifier) is not None

    def erase(self, creator: str, identifier: str) -> None:
        """Erase a creator's feedback here and, as soon as the store is there, in it. Doing it again changes nothing.

        Raises:
            ProblemError: there is no such feedback of theirs, or nobody can tell now.
        """
        with _room():
            known = self._outbox.look(identifier)
            # What was erased is known by its owner's digest alone.
            owners = {creator, owner_of(identifier, creator)}
            if not (known.creator in owners if known else self._is_stored(creator, identifier)):
                raise ProblemError(HTTPStatus.NOT_FOUND, "unknown_feedback", "You have sent no feedback of that id.")
            self._outbox.erase(identifier, creator)
            if known and known.request:
                self._request_cache.forget_request(creator, known.request)
            self._voices.remove(creator, identifier)
            self._database.scrub()
        ERASURES.labels("feedback").inc()
        self._worker.wake()

    def erase_all(self, creator: str) -> None:
        """Erase all of a creator's feedback, their voice, and what was kept of their requests."""
        with _room():
            self._outbox.leave(creator)
            self._request_cache.forget(creator)
            self._voices.forget(creator)
            self._database.scrub()
        ERASURES.labels("creator").inc()
        self._worker.wake()

    def is_known(self, creator: str) -> bool:
        """Whether anything is, or was until it was erased, the creator's, here or in the store.

        Raises:
            StoreError: nothing is here, and the store is away.
        """
        here = self._outbox.has(creator) or self._request_cache.has(creator) or self._voices.captions(creator, 1)
        return bool(here) or repository.is_known(self._lookup, creator)

    def is_erased(self, creator: str, identifier: str | None = None) -> bool:
        """Whether the store has no copy any more of a feedback whose erasure was asked for, or of any of the creator's."""
        with _room():
            return not self._outbox.pending(creator, identifier)

    def _counts(self, feedback: Feedback) -> bool:
        """Whether the metrics count it: of one caption, a creator's first rating; a later one takes its place in the store alone."""
        if feedback.rating is None or feedback.request_id is None:
            return True
        return self._outbox.is_first_rating(feedback.creator, feedback.request_id, feedback.variant)

    def _is_stored(self, creator: str, identifier: str) -> bool:
        try:
            return repository.is_owned(self._lookup, creator, identifier)
        except StoreError as error:
            raise store_away() from error

    def _record(
        self, identifier: str, creator: str, submission: Submission, image: bytes | None
    ) -> tuple[Feedback, bytes]:
        """Return the feedback with its photo as it is to be stored."""
        if submission.request_id is not None:
            found = self._request_cache.find(submission.request_id, creator)
            if found is None or submission.variant >= len(found[0].variants):
                raise ProblemError(
                    HTTPStatus.NOT_FOUND,
                    "unknown_request",
                    "No request of yours with that id and variant is kept; send the photo itself, or caption with keep_for_feedback.",
                )
            content, photo = found
            shown: Words | None = content.variants[submission.variant]
        else:
            content, photo = None, self._encoded(image or b"")
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
            # The model is as sure of the first variant as it says; others were drawn.
            confidence=content.confidence if content and submission.variant == 0 else None,
        )
        return feedback, photo

    def _encoded(self, image: bytes) -> bytes:
        try:
            return encode_photo(image, self._max_pixels)
        except ImageError as error:
            status = (
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE if error.reason == "too_large" else HTTPStatus.UNPROCESSABLE_ENTITY
            )
            raise ProblemError(status, f"image_{error.reason}", str(error)) from error


def open_feedback_service(settings: ServingSettings, feedback_uri: str) -> FeedbackService:
    """Return the service over the store at *feedback_uri*, with the voices that captions are written in.

    Raises:
        UserError: the URI is no store's, or a file can't be used.
    """
    lookup = open_store(feedback_uri, StoreTimeouts(seconds=settings.feedback_store_seconds, attempts=1))
    return FeedbackService(settings, open_store(feedback_uri), VoiceStore(settings.voice_file), lookup)


def store_away() -> ProblemError:
    """Return the refusal of what only the store can tell, while it is away."""
    detail = "The store of feedback is away; try again later."
    return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "store_away", detail, 30)


@contextmanager
def _room() -> Iterator[None]:
    """Tell the client that the disk or the outbox is full, or that the disk fails."""
    try:
        yield
    except OutboxFullError as error:
        raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "spool_full", str(error), 60) from error
    except DiskError as error:
        if error.full:
            detail = "There is no room on the disk; send it again later."
            raise ProblemError(HTTPStatus.INSUFFICIENT_STORAGE, "disk_full", detail, 60) from error
        raise _disk_failed() from error
    except UserError as error:
        # The voices' file.
        raise _disk_failed() from error


def _disk_failed() -> ProblemError:
    return ProblemError(
        HTTPStatus.SERVICE_UNAVAILABLE, "disk_failed", "The service's disk fails; send it again later.", 60
    )


def _check_same(known: KnownFeedback, submitted: str) -> None:
    if known.state in {OutboxState.ERASING, OutboxState.ERASED}:
        raise ProblemError(HTTPStatus.GONE, "erased", "That feedback was erased; send another with a key of its own.")
    if known.submission != submitted:
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "key_reused",
            "That Idempotency-Key came with another feedback before; give each feedback a key of its own.",
        )


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
