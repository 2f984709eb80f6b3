"""SliceMarker: the levels of lung apex, carina and diaphragm on a chest CT, and representative slices between them."""
