"""What is installed and what works here: packages, the machine, TensorFlow, and the report of all three."""
