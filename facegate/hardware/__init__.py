"""Cameras and GPIO lines behind small protocols; the fakes ship."""
