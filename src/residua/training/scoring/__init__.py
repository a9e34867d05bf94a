"""From decoded image to score, error map, threshold and decision.

One graph, and the loop that runs it.
"""
