"""The persona's face: what keeps it moving, and the frames that show it. See README.md beside this file."""
