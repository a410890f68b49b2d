"""Multi-process training on one or more machines, with torch's elastic launcher (torchrun)."""

import hashlib
import logging
import os
import signal
import sys
import time

import torch
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.elastic.rendezvous import RendezvousError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from snap2caption.command_line.console import log_to_stderr
from snap2caption.errors import StoppedError, UserError
from snap2caption.runtime.garbage_collection import collect_less
from snap2caption.settings import Settings
from training.distributed import LostError
from training.recipes.recipe import Recipe

SAVING_SECONDS = 60
"""Time that processes have to save a checkpoint when they are asked to stop."""

NOTICING_SECONDS = 3
"""Time that the launcher needs to notice that a process has ended."""


def run(recipe: Recipe, settings: Settings, *, force: bool) -> str:
    """Train in child processes; return the MLflow run id.

    Raises:
        UserError: a process raised it, or was killed; the others have been stopped.
        StoppedError: SIGTERM arrived.
    """
    # Their log messages repeat at length what the error says in a sentence.
    for name in ("torch.distributed.elastic", "torch.multiprocessing"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        run_ids = elastic_launch(_configuration(recipe), _work)(recipe, settings, force)
    except SignalException as error:
        if error.sigval == signal.SIGINT:
            raise KeyboardInterrupt from error
        raise StoppedError(
            "Training was stopped; run the same command again to resume from its last checkpoint."
        ) from error
    except ChildFailedError as error:
        raise _explained(error) from error
    except RendezvousError as error:
        raise UserError(
            f"The machines did not meet at {recipe.launcher.rendezvous}, or lost contact; run the same command on each "
            "again to resume from the last checkpoint."
        ) from error
    return str(next(iter(run_ids.values())))


def _configuration(recipe: Recipe) -> LaunchConfig:
    launcher = recipe.launcher
    alone = launcher.rendezvous is None
    return LaunchConfig(
        min_nodes=launcher.nodes,
        max_nodes=launcher.nodes,
        nproc_per_node=processes_here(recipe),
        # Only machines with the same recipe join each other.
        run_id=hashlib.sha256(recipe.dump().encode()).hexdigest()[:16],
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0" if alone else launcher.rendezvous,
        local_addr="localhost" if alone else None,
        # No restarts: a second attempt would most likely fail in the same way, and running the same command again
        # resumes from the last checkpoint.
        max_restarts=0,
        shutdown_timeout=SAVING_SECONDS,
    )


def processes_here(recipe: Recipe) -> int:
    """Return the number of processes on this machine: the recipe's, or one per GPU.

    Raises:
        UserError: a batch can't be divided among that many processes.
    """
    processes = recipe.launcher.processes or max(1, torch.cuda.device_count())
    try:
        recipe.share_of_batch(processes * recipe.launcher.nodes)
    except ValueError as error:
        raise UserError(f"{error}.") from error
    return processes


def _work(recipe: Recipe, settings: Settings, force: bool) -> str:
    """Train as one of the processes."""
    collect_less()
    log_to_stderr(logging.INFO if os.environ["RANK"] == "0" else logging.WARNING)
    # The system sends SIGINT when the launcher dies; end this process whatever it is waiting for.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if recipe.launcher.nodes == 1 and sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    # Imported here, so that the launcher process does not load it.
    from training.pipeline import train

    try:
        return train(recipe, settings, force=force)
    except StoppedError:
        raise
    except LostError:
        # Wait until the launcher has seen which process died first; it then stops this one and reports the first.
        time.sleep(NOTICING_SECONDS)
        raise
    except UserError as error:
        # The launcher passes on the exception's type name, so subclasses become UserError here.
        raise UserError(str(error)) from error


def _explained(error: ChildFailedError) -> Exception:
    """Return the error to raise for the first process that failed.

    It is the process's own message, or one that says how it died; a bug in the code is returned unchanged.
    """
    rank, failure = error.get_first_failure()
    if failure.exitcode < 0:
        return UserError(
            f"Training process {rank} was killed ({failure.signal_name()}; perhaps because memory ran out), and the "
            "others were stopped; run the same command again to resume from the last checkpoint."
        )
    if isinstance(failure.message, dict):
        name, _, sentence = failure.message["message"].partition(": ")
        for kind in (UserError, StoppedError, LostError):
            if name == kind.__name__:
                return kind(sentence)
    unexplained: Exception = error
    return unexplained
