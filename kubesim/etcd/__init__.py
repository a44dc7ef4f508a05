"""The store that only the API server talks to."""
