"""Airflow operators. Each runs one stage of the pipeline, by the command that a person would type."""
