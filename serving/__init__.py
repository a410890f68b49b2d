"""Inference service: captions photos with the promoted model."""
