"""Admission plugins that need more than a few lines, each named as the real one is."""
