"""The parts of the Compare page, a file each."""
