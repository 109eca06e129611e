"""Accepted evaluations: rows of a database, the files uploaded for them, and who works on them."""
