"""What keeps a hub going for years."""
