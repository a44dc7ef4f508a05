"""The patch formats, and who owns which field."""
