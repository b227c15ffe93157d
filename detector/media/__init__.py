"""Video and pictures as they are kept and travel."""
