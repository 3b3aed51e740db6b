"""A comparison as people take it with them: plots, thumbnails, and one file that holds it all."""
