"""Transfer of the state from the SQLite files of one machine to the PostgreSQL database that replicas share."""
