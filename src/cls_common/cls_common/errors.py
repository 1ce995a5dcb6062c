"""The exception of every error that a user can cause or fix."""


class UserError(ValueError):
    """An error in input or environment; its text is one line.

    Args:
        problem: subject of the error, with its name.
        expected: valid values.
        found: the actual value.
        do: how to fix it.
    """

    def __init__(self, problem: str, *, expected: str = '', found: str = '', do: str = '') -> None:
        parts = [problem]
        if expected:
            parts.append(f'expected {expected}')
        if found:
            parts.append(f'found {found}')
        text = '; '.join(parts)
        # Messages of libraries may span lines; logs and terminals get one.
        super().__init__(' '.join((f'{text}. {do}' if do else text).split()))
