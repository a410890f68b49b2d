"""Writing: shards, tables, data card, and the folder of versions."""
