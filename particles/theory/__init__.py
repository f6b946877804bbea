"""What the paper's theories say, computed."""
