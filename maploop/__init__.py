"""The loop between a vision model that draws maps and the people who know better."""

__version__ = "0.1.0"
