"""SPECTDenoise: 5-minute dopamine-transporter SPECT to 25-minute quality (Ishiwata)."""
