"""Command line: options and groups that the parts share, output, help, environment variables, missing extras."""
