"""Chapterhouse: the classic networks of deep learning's textbook chapters, served and measured."""

__version__ = "0.1.0"
