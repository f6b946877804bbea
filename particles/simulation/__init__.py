"""A run: the flow of a population under a method, what is observed, stops and resumes."""
