"""What recorders leave behind: which files there are, whose, and of when."""
