"""Feedback intake: ratings and edits from creators on their way to the store."""
