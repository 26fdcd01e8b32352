"""The embedded synthetic images: drawing of a scene, few-shot task, and pretraining pairs."""
