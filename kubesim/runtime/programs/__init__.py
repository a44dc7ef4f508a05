"""The programs that containers can run, by the name of the file in their image."""
