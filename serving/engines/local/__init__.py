"""Local engine: continuous batching with a KV cache, over a model in this process."""
