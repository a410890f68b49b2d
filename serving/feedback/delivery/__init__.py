"""Delivery of the outbox to the store: claims, and a thread for each kind of work."""
