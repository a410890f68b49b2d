"""Airflow cluster policy that gives each task the pod of the settings' table, for KubernetesExecutor.

Airflow finds it by the entry point ``airflow.policy``. Without a table, as on one machine, tasks stay as they are.
"""

from typing import Any

from airflow.policies import hookimpl
from pydantic import TypeAdapter, ValidationError

from snap2caption.errors import UserError, validation_message
from snap2caption.settings import Settings, TaskPod

_TABLE = TypeAdapter(dict[str, TaskPod])


@hookimpl
def task_policy(task: Any) -> None:
    """Set the task's ``executor_config`` by the settings' table: its own row, else the row ``default``.

    Raises:
        UserError: the table can't be read.
    """
    table = task_pods(Settings())
    row = table.get(f"{task.dag_id}.{task.task_id}") or table.get("default")
    if row is None:
        return
    config = {"pod_override": pod_override(row)}
    if task.is_mapped:
        # Its own attribute can't be set: that is what each of the mapped tasks is made with.
        task.partial_kwargs["executor_config"] = config
    else:
        task.executor_config = config


def task_pods(settings: Settings) -> dict[str, TaskPod]:
    """Return the table: that of `Settings.task_pods_file` as it is now, or else `Settings.task_pods`.

    Raises:
        UserError: the file can't be read, or is no such table.
    """
    if settings.task_pods_file is None:
        return settings.task_pods
    try:
        return _TABLE.validate_json(settings.task_pods_file.read_bytes())
    except OSError as error:
        raise UserError(f"SNAP2CAPTION_TASK_PODS_FILE can't be read ({error.strerror}); correct its path.") from None
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise UserError(f"SNAP2CAPTION_TASK_PODS_FILE is wrong ({validation_message(first)}); correct it.") from None


def pod_override(row: TaskPod) -> Any:
    """Return what differs from the pod template, as a ``V1Pod`` of the Kubernetes client.

    The container ``base`` runs the task. It gets what it asks for, and no more (quality of service ``Guaranteed``).
    """
    from kubernetes.client import models

    gpus = {"nvidia.com/gpu": str(row.gpu)} if row.gpu else {}
    amounts = {"cpu": row.cpu, "memory": row.memory, **gpus}
    resources = models.V1ResourceRequirements(requests=amounts, limits=amounts)
    return models.V1Pod(
        spec=models.V1PodSpec(containers=[models.V1Container(name="base", image=row.image, resources=resources)])
    )
