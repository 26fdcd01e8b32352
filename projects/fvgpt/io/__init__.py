"""Files, terminals and devices: what every other room builds on, and nothing of OpenMMLab."""
