"""What can be done, one transaction each: load, decide, write, commit."""
