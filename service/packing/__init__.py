"""Samples packed into one file, piece by piece: the same samples give the same bytes, wherever they are packed."""
