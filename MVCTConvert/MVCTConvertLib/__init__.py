"""What is MVCTConvert's own beside its panel: the choices, the comparison, the layers, the verdict and its numbers."""
