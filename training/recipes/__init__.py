"""Training recipes: settings, loading, overrides and fingerprints."""
