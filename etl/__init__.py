"""ETL: from a corpus zip to a dataset version in a store, by extract, transform and load."""
