"""What is RadiomicsSurvival's own beside its panel: choices, segments as labels, clinical form, cohorts, views."""
