"""Predictions held against the truth: pure metrics in the middle, files and runs at the edges.

layers              the two sides as columns, cut at tiles
lines               joined however they were cut: two sides of a road network, compared as they lie on the ground
pairs               which features overlap, lie along or lie near each other, and how well
matching            one to one, best score first
average_precision   as COCO computes it
metrics             the whole evaluation
report              as JSON and as text
survey, files       two files against each other
runs                a run of a model against a project's annotations
"""
