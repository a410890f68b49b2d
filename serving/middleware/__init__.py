"""ASGI middleware: authentication, rate limits, CORS, request ids and other checks that run before the routes."""
