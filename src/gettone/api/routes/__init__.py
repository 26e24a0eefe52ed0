"""The back office's routes, one matter a file; each handler is one operation and runs in a worker thread."""
