"""Catalog of the dataset versions in a store: listing, comparing and pruning them."""
