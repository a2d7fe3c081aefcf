"""A real single-node Apache Kafka on this machine, for demo and tests."""
