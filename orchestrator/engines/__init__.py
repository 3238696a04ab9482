"""Where trials run. An engine starts them and passes on what they say; it knows nothing of studies."""
