"""A corpus in the shape of InstaCities1M, made of rendered scenes and captions about them."""
