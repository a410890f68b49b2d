"""ASGI middleware: authentication, rate limits, CORS, request ids and the rest of what stands before the routes."""
