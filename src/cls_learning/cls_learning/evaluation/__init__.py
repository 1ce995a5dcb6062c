"""How well a learner predicts: held-out transitions, the gate on sleep, forgetting."""
