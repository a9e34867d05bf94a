"""Runs: fit, evaluate, score, threshold, report and compare models by the folder that holds
them.
"""
