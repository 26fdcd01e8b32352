"""Use of trained models: loading, prediction, export, and checkpoints of the original code."""
