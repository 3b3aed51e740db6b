"""The queue, claims, decisions and the review map."""
