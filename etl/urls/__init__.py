"""Tables of URLs: their photos, downloaded by img2dataset within limits, as posts."""
