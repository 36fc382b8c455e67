"""The acoustic models: as recognisers, as sources with trained and random weights, and how to rank them."""
