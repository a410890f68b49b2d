"""Advisory locks: of the processes that share a PostgreSQL, one holds a subject, and none that has ended does."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from databases import end_connections, set_open
from patience import LONGEST, until
from pydantic import SecretStr
from sqlalchemy import Connection, Engine

from serving.settings import ServingSettings
from serving.state import advisory_locks
from serving.state.database import BusyError, Database, StateError
from serving.state.opening import open_database
from serving.state.tables import Section

pytestmark = [pytest.mark.unit, pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)]

_HOLDER = """
import sys, time
from sqlalchemy import create_engine
from serving.state.advisory_locks import AdvisoryLocks

with AdvisoryLocks(create_engine(sys.stdin.readline().strip())).hold("photo"):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def replicas(database_url: SecretStr, tmp_path: Path) -> list[Database]:
    settings = ServingSettings(cache_dir=tmp_path, database_url=database_url)
    return [open_database(settings, Section.FEEDBACK) for _ in range(2)]


class Waiting(threading.Thread):
    """Waits for *subject*, and says when it has held it."""

    def __init__(self, database: Database, subject: str) -> None:
        super().__init__(daemon=True)
        self._database, self._subject = database, subject
        self.held = threading.Event()

    def run(self) -> None:
        with self._database.hold(self._subject):
            self.held.set()


def test_one_replica_at_a_time_holds_a_subject(replicas: list[Database]) -> None:
    one, other = replicas
    waiting = Waiting(other, "photo")
    with one.hold("photo"):
        waiting.start()
        with other.hold("another photo"):
            assert not waiting.held.wait(0.2)
    assert waiting.held.wait(LONGEST)
    waiting.join(LONGEST)


def test_some_share_a_subject_and_one_excludes_them(replicas: list[Database]) -> None:
    one, other = replicas
    waiting = Waiting(other, "photo")
    with one.hold("photo", shared=True), other.hold("photo", shared=True):
        waiting.start()
        assert not waiting.held.wait(0.2)
    assert waiting.held.wait(LONGEST)
    waiting.join(LONGEST)


def test_replicas_that_wait_for_each_other_go_on(replicas: list[Database]) -> None:
    # One thread of each replica has what a thread of the other one waits for. Were a thread to wait within the database,
    # it would keep its replica's connection from the thread that is to let go.
    held, done = threading.Barrier(3, timeout=LONGEST), threading.Event()

    def keep(database: Database, subject: str) -> None:
        with database.hold(subject):
            held.wait()
            assert done.wait(LONGEST)

    for database, subject in zip(replicas, "ab", strict=True):
        threading.Thread(target=keep, args=(database, subject), daemon=True).start()
    held.wait()
    waiting = [Waiting(database, subject) for database, subject in zip(replicas, "ba", strict=True)]
    for one in waiting:
        one.start()
        assert not one.held.wait(0.2)
    done.set()
    for one in waiting:
        assert one.held.wait(LONGEST)
        one.join(LONGEST)


def test_what_a_killed_process_held_is_free(replicas: list[Database], database_url: SecretStr) -> None:
    command = [sys.executable, "-c", _HOLDER]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    assert process.stdout
    url = database_url.get_secret_value().replace("postgresql:", "postgresql+psycopg:")
    print(url, file=process.stdin, flush=True)
    assert process.stdout.readline() == "held\n"
    process.kill()
    process.communicate()
    with replicas[0].hold("photo"):
        pass


def test_nobody_waits_forever(replicas: list[Database], monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = replicas
    monkeypatch.setattr(advisory_locks, "_LONGEST_SECONDS", 0.1)
    with one.hold("photo"), pytest.raises(BusyError, match="Another replica is busy"), other.hold("photo"):
        pass
    with other.hold("photo"):
        pass


@pytest.mark.parametrize("reconnected", [False, True])
def test_a_lock_that_was_lost_is_noticed(
    replicas: list[Database], postgresql: str, database_url: SecretStr, reconnected: bool
) -> None:
    one, other = replicas
    name = database_url.get_secret_value().rpartition("/")[2]

    def lose_it() -> None:
        with one.hold("photo"):
            end_connections(postgresql, name)
            until(lambda: _is_free(other, "photo"))
            if reconnected:
                until(lambda: _is_free(one, "another photo"))

    with pytest.raises(StateError, match="a connection with a lock was lost" if reconnected else "can't be used"):
        lose_it()
    with one.hold("photo"):
        pass


def test_a_statement_that_fails_leaves_no_lock(replicas: list[Database]) -> None:
    one, other = replicas

    def fail() -> None:
        # PostgreSQL has no text with such a character.
        with pytest.raises(StateError), one.hold("\0"):
            pass

    def work() -> None:
        with one.hold("photo"):
            fail()
            # The connection went with its locks, instead of keeping them in the pool.
            with other.hold("photo"):
                pass

    with pytest.raises(StateError, match="a connection with a lock was lost"):
        work()


def test_a_database_that_is_away_is_not_asked_by_each_thread(
    replicas: list[Database], postgresql: str, database_url: SecretStr, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = []
    connect = Engine.connect

    def count(self: Engine) -> Connection:
        attempts.append(1)
        return connect(self)

    monkeypatch.setattr(Engine, "connect", count)
    monkeypatch.setattr(advisory_locks, "_AWAY_SECONDS", LONGEST)
    name = database_url.get_secret_value().rpartition("/")[2]
    set_open(postgresql, name, to=False)
    for _ in range(3):
        with pytest.raises(StateError, match="can't be used"), replicas[0].hold("photo"):
            pass
    assert len(attempts) == 1
    set_open(postgresql, name, to=True)
    monkeypatch.setattr(advisory_locks, "_AWAY_SECONDS", 0.0)
    with replicas[0].hold("photo"):
        pass


def _is_free(database: Database, subject: str) -> bool:
    try:
        with database.hold(subject):
            return True
    except StateError:  # its own connection was lost, too
        return False
