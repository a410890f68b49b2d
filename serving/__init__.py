"""The service that captions a photo with the promoted model."""
