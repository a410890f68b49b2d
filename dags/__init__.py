"""DAG files: when, in what order, with what retries."""
