"""Reading and writing files, printing, and choosing a device: what every other room builds on."""
