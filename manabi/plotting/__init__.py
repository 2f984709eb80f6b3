"""What every figure of Manabi shares: colours, sizes, colour maps, pages and views of a volume."""
