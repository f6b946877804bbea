"""Samples: data sets, streams, batches, scaling, and the files that they are read from."""
