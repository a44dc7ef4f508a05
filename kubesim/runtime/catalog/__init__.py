"""The images that this world has, a file per family, each with its programs and its files."""
