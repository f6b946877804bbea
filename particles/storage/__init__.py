"""What a run leaves on disk: particles, checkpoints, results, and where they came from."""
