"""What is BrainSeg's own beside its panel: choices, views, propagation of painted slices, and maps to look through."""
