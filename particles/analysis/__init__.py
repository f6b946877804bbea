"""What is learnt from runs: distance from the limit, its error, coupled networks, cross-validation."""
