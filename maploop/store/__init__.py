"""The store as a whole: whether it is sound, copied into one file, and brought back from it."""
