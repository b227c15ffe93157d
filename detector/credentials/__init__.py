"""Keys, certificates and one-time codes: by what edge, hub and broker know each other."""
