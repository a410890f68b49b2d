"""Supply chain: lock files with hashes, images with digests, licenses and vulnerabilities."""
