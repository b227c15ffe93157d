"""Rendered warehouse pictures with exact ground truth (see README.md)."""
