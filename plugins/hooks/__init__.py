"""Hooks: Airflow connections as what the commands of tasks need to reach a service."""
