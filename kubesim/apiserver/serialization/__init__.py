"""How objects are read from and written to the wire."""
