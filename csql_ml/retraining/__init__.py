"""The quarterly retrain: when, who against whom, what it changes, and the way back."""
