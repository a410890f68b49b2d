"""State of the service in relational databases: SQLite files on one machine, or PostgreSQL, which replicas share."""
