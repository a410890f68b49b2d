"""Inference engines: caption generation in this process, or on a server with an OpenAI-compatible API."""
