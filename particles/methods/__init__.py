"""The methods: their settings, step sizes, and how each makes a step."""
