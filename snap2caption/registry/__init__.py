"""Model registry: champions, verdicts, signatures and adapters over MLflow."""
