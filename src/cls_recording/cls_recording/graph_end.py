"""When a recorder that was asked to end has recorded the end of all other nodes. No ROS here."""

# s without the end of another publisher after which the recorder takes itself for the only node that ends.
PATIENCE = 3.0


class GraphEnd:
    """Follows the number of publishers from the request to end, as after a Ctrl-C that reaches all processes."""

    def __init__(self) -> None:
        self._fewest: int | None = None
        self._since = 0.0

    def is_over(self, publishers: int, now: float) -> bool:
        """Whether no publisher is left, or none of them has ended for `PATIENCE` s; steady time in s."""
        if self._fewest is None or publishers < self._fewest:
            self._fewest, self._since = publishers, now
        return publishers == 0 or now - self._since > PATIENCE
