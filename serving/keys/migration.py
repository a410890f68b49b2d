"""Migration of creators whose id is their key's digest to random ids: voices, the outbox and the feedback store."""

from dataclasses import dataclass

from serving.feedback.creator_move import move_creator
from serving.feedback.delivery.delivery_lock import DeliveryLock
from serving.feedback.store import repository
from serving.feedback.store.photo_locks import PhotoLocks
from serving.keys.store import KeyStore
from serving.settings import ServingSettings
from serving.state.opening import open_database
from serving.state.tables import Section
from serving.voice.repository import VoiceStore
from snap2caption.errors import UserError
from snap2caption.store import open_store


@dataclass(frozen=True, slots=True)
class MigrationResult:
    """Number of creators with a new id, and of their feedback that this run moved in the store."""

    creators: int
    feedback: int


def migrate(settings: ServingSettings, feedback_uri: str) -> MigrationResult:
    """Add the keys of the settings to the key store, and move their creators' data to new ids.

    Every step is idempotent, so this may be interrupted anywhere and run again. Run it on each machine that serves.

    Raises:
        UserError: there are no keys, a running service delivers feedback from here, or a file or the store can't be
            used.
    """
    if not settings.api_key_hashes and not settings.has_key_store:
        raise UserError("There are no keys; set SNAP2CAPTION_SERVING_API_KEY_HASHES to the service's value.")
    keys = KeyStore(open_database(settings, Section.KEYS))
    for digest in settings.api_key_hashes:
        keys.adopt(digest)
    former = keys.former()
    database = open_database(settings, Section.FEEDBACK)
    try:
        with DeliveryLock(settings.feedback_dir) as lock:
            if not lock.take():
                raise UserError(
                    "A running service delivers feedback from here; stop it, run this again, then start the service."
                )
            voices = VoiceStore(open_database(settings, Section.VOICES))
            for before, now in former.items():
                voices.move(before, now)
                move_creator(database, before, now)
            database.scrub()
            moved = repository.move(open_store(feedback_uri), former, PhotoLocks(database))
            return MigrationResult(len(former), moved)
    finally:
        database.close()
