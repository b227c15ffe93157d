"""Who is told of what outside the pages."""
