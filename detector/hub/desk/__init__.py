"""What guards work through, and how much of it there is."""
