"""The migration of creators whose id was their key's digest: voices, what waits on the disk, and what is stored."""

from dataclasses import dataclass

from serving.feedback import repository
from serving.feedback.database import Database
from serving.feedback.outbox import Outbox
from serving.feedback.outbox_worker import is_ours
from serving.keys.store import KeyStore
from serving.settings import ServingSettings
from serving.voice.repository import VoiceStore
from snap2caption.errors import UserError
from snap2caption.store import open_store


@dataclass(frozen=True, slots=True)
class MigrationResult:
    """How many creators have another id, and how much of their feedback was moved in the store this time."""

    creators: int
    feedback: int


def migrate(settings: ServingSettings, feedback_uri: str) -> MigrationResult:
    """Take in the keys of the settings, and move all that is their creators' to the ids that these have now.

    Every step changes nothing where it was done before, so it can be cut off anywhere and run again, on each machine that serves.

    Raises:
        UserError: there is nothing to take in, a service delivers feedback from here, or a file or the store can't be used.
    """
    if not settings.api_key_hashes and not settings.key_file.exists():
        raise UserError("No keys are set; set SNAP2CAPTION_SERVING_API_KEY_HASHES as the service has it.")
    keys = KeyStore(settings.key_file)
    for digest in settings.api_key_hashes:
        keys.adopt(digest)
    former = keys.former()
    database = Database(settings.feedback_dir / "feedback.sqlite")
    try:
        with (settings.feedback_dir / "delivery.lock").open("wb") as lock:
            if not is_ours(lock):
                raise UserError("A service delivers feedback from here; stop it, run this again, then start it.")
            voices, outbox = VoiceStore(settings.voice_file), Outbox(database, most=settings.feedback_spool_bytes)
            for before, now in former.items():
                voices.move(before, now)
                outbox.move(before, now)
            database.scrub()
            return MigrationResult(len(former), repository.move(open_store(feedback_uri), former))
    finally:
        database.close()
