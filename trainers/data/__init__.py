"""From a manifest to batches: readers, features, the packed feature file, labels."""
