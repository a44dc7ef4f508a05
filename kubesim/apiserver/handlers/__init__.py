"""What answers a request: reads, writes, watches, streams, discovery."""
