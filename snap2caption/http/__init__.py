"""HTTP for clients and servers: retries, and limits of connections."""
