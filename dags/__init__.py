"""DAG files: when, in what order, with what retries.

Airflow puts this folder on the module path, so no file here may be called as one of our packages is.
"""
