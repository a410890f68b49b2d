"""Feedback: what creators say of captions, on its way to the store; `snap2caption serve-feedback` runs the intake alone."""
