"""What the rules of `trainers.fusion` are made of: members, exact likelihoods, score tables, votes."""
