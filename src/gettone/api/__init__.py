"""JSON over HTTP: charging first, then everything else."""
