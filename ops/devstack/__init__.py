"""Real servers out of packages, for a machine that has none of its own."""
