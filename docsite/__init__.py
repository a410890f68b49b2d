"""Documentation website: it collects the pages, builds the site with Zensical, and checks it."""
