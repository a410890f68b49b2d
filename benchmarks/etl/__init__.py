"""The stages of the ETL beside a peer's."""
