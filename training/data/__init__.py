"""Training data: selection, validation, streaming, sampling and collation."""
