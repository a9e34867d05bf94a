"""Several recipes on several cases, one row per fit."""
