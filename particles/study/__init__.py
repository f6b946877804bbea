"""What a person does: describe an experiment, run it, keep it, compare it, look at it."""
