"""What a TOML file may hold: its sections and their schema, its faults, objects of the user's own."""
