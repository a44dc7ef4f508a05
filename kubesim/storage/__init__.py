"""Simulated disks, and the provisioner that makes volumes on them."""
