"""Planning: dry runs, and estimates of memory and time."""
