"""What every segmentation shares: sets of structures, a network's answer, labels on the input's grid, volumes."""
