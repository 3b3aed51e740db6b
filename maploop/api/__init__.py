"""Middleware before every request: the name that a browser tab works under, and the check of Host and Origin."""
