"""The parts of a module's panel that all modules share: run, warnings, models, log."""
