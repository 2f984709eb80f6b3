"""NoduleSynth: chest radiographs with simulated nodules, and their detection."""
