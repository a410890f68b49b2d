"""Training launchers: a single process, torchrun, or Ray Train."""
