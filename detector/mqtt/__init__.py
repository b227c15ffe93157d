"""Brokers: a connection to one by paho, and one of our own for the demo."""
