"""What is SliceMarker's own beside its panel: choices, views, levels to jump to, and corrections by hand."""
