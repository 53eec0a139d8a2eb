"""Tables, pictures and pages on what jobs reached."""
