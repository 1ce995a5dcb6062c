# Thin on purpose: each target is one line, the tools live behind ./cls.
.PHONY: demo test lint

demo:
	@./cls up --robot sim

test:
	@./cls exec python -m pytest

lint:
	@./cls exec setup/lint.sh
