"""BrainSeg: brain structures from any MR contrast, propagation of painted slices, missing contrasts."""
