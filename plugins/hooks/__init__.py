"""Airflow hooks: connections as environment variables of the commands that tasks run."""
