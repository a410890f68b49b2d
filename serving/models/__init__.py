"""Model management: hot swaps of the promoted model, trust checks, and a cache of adapters on disk."""
