"""Trained models in use: loading, predicting, exporting, and checkpoints of the original code."""
