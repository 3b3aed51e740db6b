"""Measurements: every module here with a `main()` prints tables, and `python -m bench` runs them all."""
