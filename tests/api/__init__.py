"""The HTTP API, its serving and the jobs."""
