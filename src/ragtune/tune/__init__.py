"""Fine-tuning: examples, training, export; serving needs none of it."""
