"""The embedded pictures: how a scene is drawn, the few-shot task, and the pretraining pairs."""
