"""Experiment tracking: MLflow, and other trackers that a recipe names."""
