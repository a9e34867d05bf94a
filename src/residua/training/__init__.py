"""Everything that needs PyTorch.

Networks, recipes, training, the one graph that scores, bundles and exports.
"""
