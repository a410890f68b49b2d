"""The supply chain: lock files with hashes, images with digests, licenses."""
