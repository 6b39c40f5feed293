"""The program that painted the persona: needs skia, runs at development time only."""
