"""DAG files: schedules, task order and retries.

Airflow puts this folder on the module path, so no file here may have the name of one of our packages.
"""
