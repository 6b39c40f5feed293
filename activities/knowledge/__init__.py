"""Documents as an answerer needs them: chunks with their places, vectors and words, found by a question."""
