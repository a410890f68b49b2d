"""ETL benchmarks: each stage and an alternative."""
