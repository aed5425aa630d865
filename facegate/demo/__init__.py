"""The main job shown on any machine: real networks, real store, the shipped fakes."""
