"""A module a format: pure conversion beside a thin `write_...(job)`."""
