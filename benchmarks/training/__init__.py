"""Fine-tuning benchmark against TRL.

Both use the same model, photos, tokens, order, adapter and optimizer, each in its own process.
"""
