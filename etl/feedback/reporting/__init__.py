"""The report about all feedback."""
