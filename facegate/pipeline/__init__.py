"""Threads and bounded channels; knows no camera and no face."""
