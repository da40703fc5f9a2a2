"""The videos of a collection, and clips of them."""
