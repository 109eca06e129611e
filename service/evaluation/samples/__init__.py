"""Uploaded files, whatever they are, as samples: images, features or statistics."""
