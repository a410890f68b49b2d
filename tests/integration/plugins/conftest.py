import os
import tempfile

# Airflow makes its home folder when it is imported: not in the user's own.
os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow-"))
