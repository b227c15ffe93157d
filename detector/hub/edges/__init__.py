"""What the hub says to edge boxes and hears from them."""
