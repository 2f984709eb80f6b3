"""Reading and writing images and results."""
