"""What Kubernetes publishes about its API, as data: the resources and their schema."""
