"""Advisory locks: of the processes that share a PostgreSQL, one holds a subject, and none that has ended does."""

import subprocess
import sys
import threading
from pathlib import Path

import psycopg
import pytest
from patience import LONGEST, until
from pydantic import SecretStr
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError

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


def test_one_replica_at_a_time_holds_a_subject(replicas: list[Database]) -> None:
    one, other = replicas
    taken = threading.Event()

    def take() -> None:
        with other.hold("photo"):
            taken.set()

    waiting = threading.Thread(target=take, daemon=True)
    with one.hold("photo"):
        waiting.start()
        with other.hold("another photo"):
            assert not taken.wait(0.2)
    assert taken.wait(LONGEST)
    waiting.join(LONGEST)


def test_some_share_a_subject_and_one_excludes_them(replicas: list[Database]) -> None:
    one, other = replicas
    taken = threading.Event()

    def take() -> None:
        with other.hold("photo"):
            taken.set()

    waiting = threading.Thread(target=take, daemon=True)
    with one.hold("photo", shared=True), other.hold("photo", shared=True):
        waiting.start()
        assert not taken.wait(0.2)
    assert taken.wait(LONGEST)
    waiting.join(LONGEST)


def test_replicas_that_wait_for_each_other_go_on(replicas: list[Database]) -> None:
    # One thread of each replica has what a thread of the other one waits for. Were a thread to wait within the database,
    # it would keep its replica's connection from the thread that is to let go.
    held, waiting = threading.Barrier(3, timeout=LONGEST), threading.Event()

    def keep(database: Database, subject: str) -> None:
        with database.hold(subject):
            held.wait()
            assert waiting.wait(LONGEST)

    def want(database: Database, subject: str) -> None:
        with database.hold(subject):
            pass

    keepers = [
        threading.Thread(target=keep, args=arguments, daemon=True) for arguments in zip(replicas, "ab", strict=True)
    ]
    wanting = [
        threading.Thread(target=want, args=arguments, daemon=True) for arguments in zip(replicas, "ba", strict=True)
    ]
    for thread in keepers:
        thread.start()
    held.wait()
    for thread in wanting:
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
    waiting.set()
    for thread in [*keepers, *wanting]:
        thread.join(LONGEST)
        assert not thread.is_alive()


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
            with psycopg.connect(postgresql, autocommit=True) as server:
                server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
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


def test_a_database_that_is_away_is_asked_once_a_second(
    replicas: list[Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = []

    def refuse(_self: Engine) -> Connection:
        attempts.append(1)
        raise OperationalError("connect", None, Exception("refused"))

    monkeypatch.setattr(Engine, "connect", refuse)
    for _ in range(3):
        with pytest.raises(StateError, match="refused"), replicas[0].hold("photo"):
            pass
    assert len(attempts) == 1


def _is_free(database: Database, subject: str) -> bool:
    try:
        with database.hold(subject):
            return True
    except StateError:  # its own connection was lost, too
        return False
