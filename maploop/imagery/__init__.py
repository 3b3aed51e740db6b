"""Where pixels come from: sources, tile maths, and what is served under /tiles."""
