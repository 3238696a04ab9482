"""Word error rate, from pooled counts."""
