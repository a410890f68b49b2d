"""Our fine-tuning beside TRL's: the same model, photos, tokens, order, adapter and optimizer, each in a process of its own."""
