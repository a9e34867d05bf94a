"""From decoded image to score, error map, threshold and decision: one graph, and the loop that runs
it.
"""
