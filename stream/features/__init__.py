"""Bytes to vector, text to vector, and the model files that do it."""
