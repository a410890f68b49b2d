"""Evaluation: metrics, confidence intervals and reports."""
