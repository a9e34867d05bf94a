"""residua."""
