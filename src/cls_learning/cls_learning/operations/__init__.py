"""Operations of networks, counted in real runs: synaptic operations, updates of neurons and of parameters, energy."""
