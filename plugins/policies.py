"""Airflow cluster policy that gives each task the pod of the settings' table, for KubernetesExecutor.

Airflow finds it by the entry point ``airflow.policy``. Without a table, as on one machine, tasks stay as they are.
"""

from typing import Any

from airflow.policies import hookimpl

from snap2caption.settings import Settings, TaskPod


@hookimpl
def task_policy(task: Any) -> None:
    """Set the task's ``executor_config`` by `Settings.task_pods`: its own row, else the row ``default``."""
    table = Settings().task_pods
    row = table.get(f"{task.dag_id}.{task.task_id}") or table.get("default")
    if row is None:
        return
    config = {"pod_override": pod_override(row)}
    if task.is_mapped:
        # Its own attribute can't be set: that is what each of the mapped tasks is made with.
        task.partial_kwargs["executor_config"] = config
    else:
        task.executor_config = config


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
