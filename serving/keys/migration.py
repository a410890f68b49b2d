"""Migration of creators whose id is their key's digest to random ids: voices, the outbox and the feedback store."""

from dataclasses import dataclass

from serving.feedback import repository
from serving.feedback.database import Database
from serving.feedback.outbox import Outbox
from serving.feedback.outbox_worker import try_lock
from serving.keys.store import KeyStore
from serving.settings import ServingSettings
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
    if not settings.api_key_hashes and not settings.key_file.exists():
        raise UserError("There are no keys; set SNAP2CAPTION_SERVING_API_KEY_HASHES to the service's value.")
    keys = KeyStore(settings.key_file)
    for digest in settings.api_key_hashes:
        keys.adopt(digest)
    former = keys.former()
    database = Database(settings.feedback_dir / "feedback.sqlite")
    try:
        with (settings.feedback_dir / "delivery.lock").open("wb") as lock:
            if not try_lock(lock):
                raise UserError(
                    "A running service delivers feedback from here; stop it, run this again, then start the service."
                )
            voices, outbox = VoiceStore(settings.voice_file), Outbox(database, max_bytes=settings.feedback_spool_bytes)
            for before, now in former.items():
                voices.move(before, now)
                outbox.move(before, now)
            database.scrub()
            return MigrationResult(len(former), repository.move(open_store(feedback_uri), former))
    finally:
        database.close()
