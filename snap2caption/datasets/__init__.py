"""Dataset versions: manifest, shards, and readers of a store or folder."""
