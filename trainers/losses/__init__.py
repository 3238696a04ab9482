"""Losses over padded batches; each is a sum over utterances divided by the target labels of the batch."""
