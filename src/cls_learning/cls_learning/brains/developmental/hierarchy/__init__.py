"""Two time scales over one set of tokens: macro-actions, planners, and the rule by which the far scale is used."""
