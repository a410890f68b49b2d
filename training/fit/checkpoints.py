"""Training checkpoints: local folders, and copies in an object store for machines that share no disk."""

import hashlib
import json
import os
import re
import shutil
import tarfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from snap2caption.errors import UserError
from snap2caption.store import ObjectStore
from training.distributed import Ranks

COMPLETE = "complete"
"""Name of the marker file of a completely written checkpoint."""

STATE = "trainer_state.json"
"""Name of the Trainer's state file."""

_STORED = re.compile(r"checkpoint-(0|[1-9][0-9]{0,11})\.tar")


class Checkpoints:
    """The checkpoints under *folder*, at most one per step, and their copies in *store*, if there is one.

    A checkpoint without its marker file is ignored: its process was killed while writing, and the same step writes
    it again.
    """

    def __init__(self, folder: Path, store: ObjectStore | None = None) -> None:
        self.folder = folder
        self.store = store

    def path(self, step: int) -> Path:
        """Return the path of the checkpoint of *step*, whether it exists or not."""
        return self.folder / f"checkpoint-{step}"

    def steps(self) -> list[int]:
        """Return the steps that have a complete checkpoint, in ascending order."""
        return sorted(_step(marker.parent.name) for marker in self.folder.glob(f"checkpoint-*/{COMPLETE}"))

    def state(self, step: int) -> dict[str, Any]:
        """Return the Trainer's state at *step*: ``global_step``, ``max_steps``, ``log_history``."""
        found: dict[str, Any] = json.loads((self.path(step) / STATE).read_bytes())
        return found

    def complete(self, step: int, keep: Collection[int]) -> None:
        """Mark the checkpoint of *step* as complete, and remove older ones.

        The previous checkpoint and those of the steps in *keep* stay.
        """
        # Keep the previous one: after a disk failure the last one may be unreadable.
        os.sync()
        (self.path(step) / COMPLETE).touch()
        kept = {step, *self.steps()[-2:], *keep}
        for folder in self.folder.glob("checkpoint-*"):
            if _step(folder.name) not in kept:
                # Remove the marker first, so that a half-removed checkpoint is ignored.
                (folder / COMPLETE).unlink(missing_ok=True)
                shutil.rmtree(folder)
        self._upload()
        for stored in set(self._stored()) - kept:
            self._delete(stored)

    def fetch(self, ranks: Ranks) -> int | None:
        """Return the step of the last checkpoint, the same in all processes; None if there is none.

        Each machine first downloads the checkpoints of the store, if there is one; else the main process decides.

        Raises:
            UserError: the processes are on several machines, and there is no store.
        """
        if self.store is None:
            if ranks.local_size < ranks.size:
                raise UserError(
                    "The training runs on several machines, which may share no disk; "
                    "set launcher.checkpoints to the URI of a store, such as s3://bucket/checkpoints."
                )
            return ranks.run_on_main(lambda: max(self.steps(), default=None))

        def newest() -> list[int]:
            # Upload a checkpoint that was saved here before the process could copy it.
            self._upload()
            return self._stored()

        steps = ranks.run_on_main(newest)
        if ranks.is_local_main:
            for step in set(steps) - set(self.steps()):
                self._download(step)
        # A barrier: after it, every process finds all checkpoints on its machine.
        ranks.all_gather(None)
        return max(steps, default=None)

    def discard(self) -> None:
        """Remove all copies from the store; the finished adapter is kept elsewhere."""
        for step in self._stored():
            self._delete(step)

    def _upload(self) -> None:
        if self.store is None:
            return
        for step in set(self.steps()) - set(self._stored()):
            with self._scratch() as scratch:
                archive = scratch / "checkpoint.tar"
                with tarfile.open(archive, "w") as tar:
                    tar.add(self.path(step), arcname=".")
                with archive.open("rb") as stream:
                    digest = hashlib.file_digest(stream, "sha256").hexdigest()
                self.store.put(_key(step), archive, sha256=digest)

    def _download(self, step: int) -> None:
        assert self.store is not None  # noqa: S101 - there is nothing to download otherwise
        shutil.rmtree(self.path(step), ignore_errors=True)
        with self._scratch() as scratch:
            with self.store.get(_key(step)) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
                _unpack(tar, scratch / "checkpoint")
            (scratch / "checkpoint").replace(self.path(step))

    def _stored(self) -> list[int]:
        found = () if self.store is None else self.store.list()
        return [int(match[1]) for info in found if (match := _STORED.fullmatch(info.key))]

    def _delete(self, step: int) -> None:
        assert self.store is not None  # noqa: S101 - nothing is stored otherwise
        self.store.delete(_key(step))

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        # Always the same folder, so that the next run removes what a killed run left there.
        scratch = self.folder / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        yield scratch
        shutil.rmtree(scratch)


def _key(step: int) -> str:
    return f"checkpoint-{step}.tar"


def _step(name: str) -> int:
    return int(name.removeprefix("checkpoint-"))


def _unpack(tar: tarfile.TarFile, folder: Path) -> None:
    """Write the files of a checkpoint archive into *folder*.

    It does not use `extractall`, which is safe only with a filter, and Python has filters only from 3.11.4 on.
    """
    folder.mkdir()
    for member in tar:
        content = tar.extractfile(member) if member.isreg() else None
        path = folder / member.name
        if content is None or ".." in path.parts or folder not in path.parents:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            shutil.copyfileobj(content, file)
