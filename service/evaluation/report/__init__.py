"""The report of an evaluation: its schema, its verdict, and the reports before it."""
