"""Fitting one model: what is held out, at which size, towards which targets, with which recipe."""
