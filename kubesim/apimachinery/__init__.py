"""What every part knows of an object: names, labels, quantities, taints."""
