"""Other ways to the same answers of a classifier, which are faster: which there are, which may serve, which is best."""
