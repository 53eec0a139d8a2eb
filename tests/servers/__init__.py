"""Real servers for tests: each starts on loopback, all its state in a new folder, and is ended by its process id."""
