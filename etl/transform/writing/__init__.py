"""Output of the transform: shards, tables, the data card and the folder of versions."""
