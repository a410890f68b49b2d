"""Stages of the transform: plan, check, merge."""
