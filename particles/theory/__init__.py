"""What the paper says, as functions: each names its equation and what it assumes."""
