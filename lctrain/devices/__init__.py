"""Loading TensorFlow on the devices that a configuration asks for."""
