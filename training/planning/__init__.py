"""Training plans: dry runs, and estimates of memory and time."""
