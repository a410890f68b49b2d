"""Engines: what generates captions, in this process or on a server that speaks OpenAI's API."""
