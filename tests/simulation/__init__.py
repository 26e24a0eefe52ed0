"""A seeded simulation of organisations, their money, and a hostile payment provider."""
