# Thin on purpose: the tools live behind ./cls.
.PHONY: demo test lint

demo:
	@./cls up --robot sim

test:
	@./cls add dev
	@./cls exec python -m pytest

lint:
	@./cls add dev
	@./cls exec setup/lint.sh
