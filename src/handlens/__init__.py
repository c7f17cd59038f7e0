"""handlens: from a folder of raw photos to a verified classifier on a phone."""
