"""Sampling, blind audit, agreement and acceptance."""
