"""Launchers: one process, torchrun, or Ray Train."""
