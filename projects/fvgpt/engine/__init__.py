"""What runs a recipe: hooks, and the Runner that resolves it."""
