"""What a student learns from beside transcripts: teachers, what they say of the training set, and the loss of both."""
