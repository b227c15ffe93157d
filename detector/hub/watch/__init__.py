"""What is wrong with the system itself."""
