"""Stated errors beside true ones: a module's CHECKS maps a public name to seed -> (stated, true), or None."""
