"""Networks as bricks and assemblies, independent of any method."""
