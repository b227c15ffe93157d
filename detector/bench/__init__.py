"""How fast labelwatch is here, and where the time goes: `labelwatch bench`."""
