"""Incidents that belong together, as a case and as a pack for the police."""
