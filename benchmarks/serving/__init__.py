"""The caption service beside others that answer the same requests with the same model."""
