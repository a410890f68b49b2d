"""Dataset version in, adapter and scores out: fine-tuning, evaluation, the gate."""
