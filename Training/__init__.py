"""Training and experiments: data sets, losses, engine, recipes. Imports manabi, never the reverse."""
