"""A dataset as one folder that a self-hosted trainer works on: data, settings, scripts, and a README that explains.

bases       what the trainers call the families of models, and the dialect that each family speaks
lines       an example in the words of each trainer
bundle      the folder, or its zip file
"""

from maploop.tune.bundle.bundle import BundleReport, make_bundle

__all__ = ["BundleReport", "make_bundle"]
