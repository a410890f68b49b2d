"""Dashboard of the pipelines: Airflow's DAGs and its scheduler."""

from monitoring.dashboards.panels import RATE, Dashboard, Panel, Query

PAGE = Dashboard(
    uid="snap2caption-pipelines",
    title="Snap2Caption: pipelines",
    description="Do Airflow's DAGs run, in time and to their end?",
    panels=(
        Panel(
            "Successful runs", "Runs of each DAG that succeeded in a day.", "short",
            [Query("sum by (dag_id) (increase(airflow_dagrun_success_seconds_count[1d]))", "{{dag_id}}")],
        ),
        Panel(
            "Failed runs", "Runs of each DAG that failed in a day.", "short",
            [Query("sum by (dag_id) (increase(airflow_dagrun_failed_seconds_count[1d]))", "{{dag_id}}")],
        ),
        Panel(
            "Time of a run", "Mean duration of a successful run in a day.", "s",
            [
                Query(
                    "sum by (dag_id) (increase(airflow_dagrun_success_seconds_sum[1d]))"
                    " / sum by (dag_id) (increase(airflow_dagrun_success_seconds_count[1d]))",
                    "{{dag_id}}",
                )
            ],
        ),
        Panel(
            "Late starts", "How long after its time a scheduled run starts: P90.", "s",
            [Query('max by (dag_id) (airflow_dagrun_schedule_delay_seconds{quantile="0.9"})', "{{dag_id}}")],
        ),
        Panel(
            "Finished tasks", "Tasks by the state that they ended in.", "short",
            [Query("sum by (state) (increase(airflow_tasks_finished_total[1h]))", "{{state}} an hour")],
        ),
        Panel(
            "Executor", "Tasks that run, and that wait for a place.", "short",
            [
                Query("max(airflow_executor_running_tasks)", "running"),
                Query("max(airflow_executor_queued_tasks)", "queued"),
            ],
        ),
        Panel(
            "Heartbeats of the scheduler", "None for five minutes is an alert.", "ops",
            [Query(f"sum(rate(airflow_scheduler_heartbeat_total[{RATE}]))", "heartbeats")],
        ),
        Panel(
            "Broken DAG files", "Files that can't be imported.", "short",
            [Query("max(airflow_dag_processing_import_errors)", "files")], single=True,
        ),
    ),
)  # fmt: skip
