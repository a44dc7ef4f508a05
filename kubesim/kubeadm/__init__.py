"""What makes a cluster before anybody is in it: certificates, default objects, roles."""
