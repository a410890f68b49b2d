"""HTTP: request parsing, schemas, problem bodies, server-sent events and the API's description."""
