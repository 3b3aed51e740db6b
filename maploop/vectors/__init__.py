"""Read, check, repair and write features in every format."""
