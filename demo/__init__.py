"""What the embedded demo needs: rendered city scenes, a corpus made of them, and a small base model."""
