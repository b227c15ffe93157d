"""Clips, and the copies of them that people may watch."""
