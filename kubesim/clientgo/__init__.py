"""What every client of the API server is made of, as in k8s.io/client-go."""
