"""Serving benchmark beside other inference engines: ours, vLLM and OpenVINO, on a model of SmolVLM-256M's shape."""
