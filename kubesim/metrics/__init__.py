"""The resource metrics API: what `kubectl top` and the HorizontalPodAutoscaler read."""
