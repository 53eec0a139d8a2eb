"""From a configuration to a model, and back: shapes and costs without Keras, building with it."""
