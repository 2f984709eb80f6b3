"""What is NoduleSynth's own beside its panel: choices, films, marks and their slider, places to click, pairs, views."""
