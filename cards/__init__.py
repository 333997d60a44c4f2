"""Describe a dataset and publish it."""
