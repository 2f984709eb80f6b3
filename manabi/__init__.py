"""Manabi: published Japanese clinical deep-learning studies as tools.

Nothing heavy is imported here: ``import manabi`` costs milliseconds, torch and SimpleITK are loaded by the
functions that need them.
"""

__version__ = "0.1.0"
