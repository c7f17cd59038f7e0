"""Phone files: making them, proving that they agree with the trained model, timing them."""
