"""redis: a server and a client that speak its own protocol."""
