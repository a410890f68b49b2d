"""Withdrawal of dataset versions that hold erased feedback, and the models that learned from it."""
