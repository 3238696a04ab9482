"""From posteriors to words: greedy, beam search with a language model, and the language model itself."""
