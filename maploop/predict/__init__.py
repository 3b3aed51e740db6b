"""Predictors: tile image in, features out."""
