"""Physics-based simulators with known truth."""
