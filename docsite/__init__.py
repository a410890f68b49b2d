"""Documentation website: its pages laid out, built with Zensical, and checked."""
