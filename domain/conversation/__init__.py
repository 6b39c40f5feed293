"""A conversation: its state, its words and who may speak."""
