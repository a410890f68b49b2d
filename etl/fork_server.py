"""Fork server for worker processes, started while the command still imports what it needs.

Outside of `etl.transform`, whose import takes as long as the server's start.
"""

import multiprocessing
import multiprocessing.context
import multiprocessing.forkserver
import sys


def start_fork_server() -> multiprocessing.context.BaseContext:
    """Start the server, unless it runs already; return the context that starts processes.

    Processes are not forks of this one, which may have threads (a progress bar, Airflow's task runner). On Linux they
    are forks of a server that has loaded the modules once. Elsewhere each loads them itself, since libraries of macOS
    may not be forked.
    """
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["etl.transform.pipeline"])
    multiprocessing.forkserver.ensure_running()
    return context
