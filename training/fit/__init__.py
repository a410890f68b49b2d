"""Fine-tuning: transformers' Trainer, loss, LoRA, callbacks and checkpoints."""
