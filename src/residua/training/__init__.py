"""Everything that needs PyTorch: networks, recipes, training, the one graph that scores, bundles
and exports.
"""
