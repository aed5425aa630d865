"""Who may come in: the store, the matcher, the policy and the door."""
