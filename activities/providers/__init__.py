"""Answerers and other providers behind the ports."""
