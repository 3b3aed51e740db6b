"""Models of the Hugging Face hub, or of a folder in its form, through the transformers library: an optional extra.

Only `networks`, `masks` and `embedder` import torch at their top; they are imported when a model is opened.
"""
