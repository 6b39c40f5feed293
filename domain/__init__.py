"""What is true: decisions, events and rules, without a clock, randomness or I/O."""
