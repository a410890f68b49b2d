"""File formats, read and written strictly: JSON, YAML, documents with a schema, and signatures."""
