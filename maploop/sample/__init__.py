"""The built-in sample project: a procedural town with exact truth."""
