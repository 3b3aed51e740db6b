"""What people see: one file a page, no SQL, no geometry maths."""
