"""How objects are kept: defaulting, admission, strategies, deletion, storage."""
