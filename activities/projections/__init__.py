"""What lists and pages show, computed from the log."""
