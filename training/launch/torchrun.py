"""Training in several processes, on this machine or on several, under torch's elastic launcher."""

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

from snap2caption.console import log_to_stderr
from snap2caption.errors import StoppedError, UserError
from snap2caption.settings import Settings
from training.distributed import LostError
from training.recipes.recipe import Recipe

SAVING_SECONDS = 60
"""How long processes that are asked to stop may take to save a checkpoint."""

NOTICING_SECONDS = 3
"""How long the launcher may take to notice that a process has ended."""


def run(recipe: Recipe, settings: Settings, *, force: bool) -> str:
    """Train in processes of their own; return the MLflow run's id.

    Raises:
        UserError: a process raised it, or was killed; the others have been ended.
        StoppedError: SIGTERM came.
    """
    # They tell at length what comes out as a sentence.
    for name in ("torch.distributed.elastic", "torch.multiprocessing"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        run_ids = elastic_launch(_configuration(recipe), _work)(recipe, settings, force)
    except SignalException as error:
        if error.sigval == signal.SIGINT:
            raise KeyboardInterrupt from error
        raise StoppedError("Training was stopped; the same command goes on from its last checkpoint.") from error
    except ChildFailedError as error:
        raise _explained(error) from error
    except RendezvousError as error:
        raise UserError(
            f"The machines did not meet at {recipe.launcher.rendezvous}, or lost each other; give the same command on each again, and it goes on "
            "from the last checkpoint."
        ) from error
    return str(next(iter(run_ids.values())))


def _configuration(recipe: Recipe) -> LaunchConfig:
    launcher = recipe.launcher
    alone = launcher.rendezvous is None
    return LaunchConfig(
        min_nodes=launcher.nodes,
        max_nodes=launcher.nodes,
        nproc_per_node=processes_here(recipe),
        # Those that meet have the same recipe.
        run_id=hashlib.sha256(recipe.dump().encode()).hexdigest()[:16],
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0" if alone else launcher.rendezvous,
        local_addr="localhost" if alone else None,
        # A second try would most likely end as the first did; and who gives the same command again goes on from the last checkpoint.
        max_restarts=0,
        shutdown_timeout=SAVING_SECONDS,
    )


def processes_here(recipe: Recipe) -> int:
    """Return how many processes this machine runs: as many as asked for, else one for each GPU.

    Raises:
        UserError: a batch can't be divided among that many.
    """
    processes = recipe.launcher.processes or max(1, torch.cuda.device_count())
    try:
        recipe.share_of_batch(processes * recipe.launcher.nodes)
    except ValueError as error:
        raise UserError(f"{error}.") from error
    return processes


def _work(recipe: Recipe, settings: Settings, force: bool) -> str:
    """Train as one of the processes."""
    log_to_stderr(logging.INFO if os.environ["RANK"] == "0" else logging.WARNING)
    # What the system sends when the launcher dies, whatever this process is waiting for.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if recipe.launcher.nodes == 1 and sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    # Here, so that the launcher does without.
    from training.pipeline import train

    try:
        return train(recipe, settings, force=force)
    except StoppedError:
        raise
    except LostError:
        # The launcher ends this one once it has seen which process went first, and tells of that.
        time.sleep(NOTICING_SECONDS)
        raise
    except UserError as error:
        # The launcher tells of a failure by its type's name.
        raise UserError(str(error)) from error


def _explained(error: ChildFailedError) -> Exception:
    """Return what to raise for the first process that failed: its own sentence, or one about its death; a fault of the code's as it is."""
    rank, failure = error.get_first_failure()
    if failure.exitcode < 0:
        return UserError(
            f"Process {rank} of the training was killed ({failure.signal_name()}; perhaps for its memory), and the others were ended; "
            "the same command goes on from the last checkpoint."
        )
    if isinstance(failure.message, dict):
        name, _, sentence = failure.message["message"].partition(": ")
        for kind in (UserError, StoppedError, LostError):
            if name == kind.__name__:
                return kind(sentence)
    unexplained: Exception = error
    return unexplained
