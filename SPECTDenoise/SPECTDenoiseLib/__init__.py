"""What is SPECTDenoise's own beside its panel: the choices, the views and the numbers of its result."""
