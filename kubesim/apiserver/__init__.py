"""The API server: the only part that touches the store, and the only way for all others."""
