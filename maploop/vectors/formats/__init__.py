"""One module a format: a file -> `SourceTable`s, rows as the file has them, nothing checked yet."""
