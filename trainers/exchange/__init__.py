"""What goes in from other programs and out to them: weights, labels, posteriors. Nothing in a file is run."""
