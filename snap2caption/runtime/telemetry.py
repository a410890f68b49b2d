"""Telemetry of libraries and servers: switched off, since nobody else should learn what is done here.

Each library reads its variable when it is imported or started, and some report from threads; MLflow's once crashed
a training run. So importing this package sets the variables in every process: a command, a service, an Airflow
task, a training process. Child processes inherit them. Makefile and Dockerfile have the same lines for what they
start without us; a test compares them.
"""

import os

LIBRARIES = {
    # The common convention (https://consoledonottrack.com). MLflow accepts only "true" here.
    "DO_NOT_TRACK": "true",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
    "WANDB_ERROR_REPORTING": "false",
}
"""Variables that libraries read, including libraries that only the benchmarks load."""

SERVERS = {
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "LABEL_STUDIO_COLLECT_ANALYTICS": "false",
    "LABEL_STUDIO_FRONTEND_SENTRY_DSN": "",
    "LABEL_STUDIO_LATEST_VERSION_CHECK": "false",
    "LABEL_STUDIO_SENTRY_DSN": "",
}
"""Variables that the servers next to ours read.

SeaweedFS has a command-line option for it (see `demo.stack.services.seaweedfs`).
"""


def switch_off() -> None:
    """Set the variables of this process, whatever their values were."""
    os.environ |= LIBRARIES | SERVERS
