"""Files of the service and the feedback commands are private to their user, whatever the umask, and whatever existed
before.
"""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import patience
import pytest
from creators import KEYS, creator, headers, photo_of
from exposed import exposed
from intake_process import intake
from patience import LONGEST, until

from demo.stack import Stack
from snap2caption.store import open_store

pytestmark = pytest.mark.integration


@pytest.fixture
def open_umask() -> Iterator[None]:
    usual = os.umask(0)
    yield
    os.umask(usual)


def test_photos_records_and_voices_are_their_owners_alone(open_umask: None, tmp_path: Path) -> None:
    state, store = tmp_path / "state", tmp_path / "store"
    voices = state / "voice.sqlite"
    state.mkdir(mode=0o700)
    # From an older version: readable by everyone.
    with closing(sqlite3.connect(voices)) as connection:
        connection.execute("CREATE TABLE older (id)")
    assert voices.stat().st_mode & 0o077
    service = intake(
        tmp_path,
        store.as_uri(),
        voice_file=str(voices),
        api_key_hashes=str([creator(key) for key in KEYS]).replace("'", '"'),
    )
    with Stack(tmp_path) as stack:
        stack.start([service])
        address = service.ready_url.removesuffix("/healthz")
        answer = patience.post(
            f"{address}/v1/feedback",
            files={"image": photo_of("teal")},
            data={"edited_caption": "My own words", "rating": "5"},
            headers=headers("ana"),
        )
        assert answer.status_code == 202, answer.text
        until(lambda: any(True for _ in open_store(store.as_uri()).list("records/")))
        assert exposed(state) == []
        assert exposed(store) == []
        # The database with its write-ahead log and shared memory.
        assert len(list(state.rglob("*.sqlite*"))) > 1
    collect = [sys.executable, "-m", "snap2caption", "feedback", "collect"]
    variables = {"SNAP2CAPTION_STATE_DIR": str(state), "SNAP2CAPTION_FEEDBACK_URI": store.as_uri()}
    subprocess.run(collect, env=os.environ | variables, timeout=LONGEST, check=True)
    assert exposed(store) == []
