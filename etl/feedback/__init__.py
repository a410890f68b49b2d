"""The feedback loop: what creators and annotators correct becomes a dataset version."""
