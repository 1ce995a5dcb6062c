"""A lifecycle node that starts itself and never hides an error of a transition.

rclpy on jazzy swallows exceptions of transition callbacks and drops publishes while inactive without a word. Here a
failed transition is logged once with its traceback, and a UserError on the way to active ends the process.
"""

import traceback
from typing import Any

from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from ..errors import UserError


class SelfStartingNode(LifecycleNode):
    """Base for nodes that own hardware. Subclasses implement `configure`, `activate`, `deactivate`, `cleanup`.

    Parameters:
        autostart (bool): configure and activate at start, so that no manager is needed.

    `configure` opens and checks, `activate` starts timers and subscriptions, `deactivate` stops them, `cleanup`
    closes. Each may raise; a UserError ends the process when it comes up during autostart.
    """

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self._start_error: UserError | None = None

    def autostart(self) -> None:
        """Configures and activates; raises the UserError of the transition that failed."""
        for transition in (self.trigger_configure, self.trigger_activate):
            if transition() is not TransitionCallbackReturn.SUCCESS:
                raise self._start_error or UserError(f'{self.get_name()} could not start', do='See the log above.')

    def configure(self) -> None: ...
    def activate(self) -> None: ...
    def deactivate(self) -> None: ...
    def cleanup(self) -> None: ...

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._guard(self.configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        super().on_activate(state)
        return self._guard(self.activate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        result = self._guard(self.deactivate)
        super().on_deactivate(state)
        return result

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._guard(self.cleanup)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._guard(self.cleanup)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._guard(self.cleanup)

    def _guard(self, step: Any) -> TransitionCallbackReturn:
        try:
            step()
        except UserError as error:
            self._start_error = error
            self.get_logger().error(str(error))
            return TransitionCallbackReturn.FAILURE
        except Exception:
            self.get_logger().error(traceback.format_exc())
            return TransitionCallbackReturn.ERROR
        return TransitionCallbackReturn.SUCCESS
