"""The one shape of every error that a person can cause or mend."""


class UserError(ValueError):
    """Something outside the program is wrong. Its text is one line for people.

    Args:
        problem: what is wrong, with the name of the thing.
        expected: what would have been right.
        found: what was there instead.
        do: what to do about it.
    """

    def __init__(self, problem: str, *, expected: str = '', found: str = '', do: str = '') -> None:
        parts = [problem]
        if expected:
            parts.append(f'expected {expected}')
        if found:
            parts.append(f'found {found}')
        text = '; '.join(parts)
        # What libraries say may span lines; people and log readers get one.
        super().__init__(' '.join((f'{text}. {do}' if do else text).split()))
