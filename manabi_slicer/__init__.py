"""What the modules share inside Slicer: nodes and results, the panel, the background worker, installation, samples.

Imports flow one way: a module imports this package, this package imports :mod:`manabi`. Nothing here imports torch, and
nothing that is slow to import is imported before it is needed: opening a module stays quick.
"""
