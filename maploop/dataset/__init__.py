"""Frozen datasets: snapshot, split and the writers of every format."""
