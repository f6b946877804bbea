"""Stated errors beside true ones: each module's CHECKS maps a public name to seed -> (stated, true), None if refused."""
