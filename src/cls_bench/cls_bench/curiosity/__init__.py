"""Does curiosity explore? Rewards against chance and against an explorer who knows everything, in five worlds."""
