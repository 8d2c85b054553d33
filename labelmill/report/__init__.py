"""The report of a version: what is in it, its charts, and the one HTML page that shows it."""
