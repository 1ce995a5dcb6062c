"""Eyes trained on recorded sessions, and models made with them."""
