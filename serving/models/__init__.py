"""Model management: hot swaps of the promoted model, and its adapters on disk."""
