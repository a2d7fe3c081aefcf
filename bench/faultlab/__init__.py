"""The fault laboratory: planted truth, a slow reference, a real service that is harmed, and a verdict."""
