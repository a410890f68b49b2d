"""Our fine-tuning beside TRL's: the same model, photos, tokens, order, adapter and optimiser, each in a process of its own."""
