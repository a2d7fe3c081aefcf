"""The gallery and its mathematics: pure numpy and FAISS. Knows nothing of Kafka, images or text."""
