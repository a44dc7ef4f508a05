"""What the labs and graders of the course import."""
