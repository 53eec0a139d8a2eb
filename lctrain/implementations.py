"""The implementations of locally connected layers."""
