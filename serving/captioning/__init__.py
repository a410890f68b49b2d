"""Captioning: from a decoded photo and its options to a post that is safe to publish."""
