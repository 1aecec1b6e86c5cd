"""Burns 2024: semantically correlated memories in a dense associative model."""
