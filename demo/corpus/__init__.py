"""Corpus generator: a zip in the layout of InstaCities1M, of rendered scenes and captions about them."""
