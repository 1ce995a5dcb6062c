"""A lifecycle node that activates itself and reports every error of a transition.

rclpy on jazzy swallows exceptions of transition callbacks and silently drops publishes while inactive. Here a failed
transition is logged once with its traceback, and a UserError during autostart ends the process.
"""

from collections.abc import Callable
import traceback
from typing import Any

from lifecycle_msgs.msg import State
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from ..errors import UserError


class AutostartLifecycleNode(LifecycleNode):
    """Base of nodes that own hardware: subclasses implement `configure`, `activate`, `deactivate`, `cleanup`.

    Parameters:
        autostart (bool): configure and activate at start, without a lifecycle manager.

    `configure` opens and checks, `activate` starts timers and subscriptions, `deactivate` stops them,
    `cleanup` closes. Each may raise; a UserError during autostart ends the process. A failed step is undone, so
    `deactivate` and `cleanup` must not assume that `activate` or `configure` completed, nor that they are called once.
    """

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self._start_error: UserError | None = None
        self._is_starting = False

    def autostart(self) -> None:
        """Configures and activates; raises the UserError of the transition that failed."""
        self._start_error, self._is_starting = None, True
        try:
            if self.trigger_configure() is not TransitionCallbackReturn.SUCCESS:
                raise self._failed_start()
            if self.trigger_activate() is not TransitionCallbackReturn.SUCCESS:
                self._guard(self.cleanup)
                raise self._failed_start()
        finally:
            self._is_starting = False

    def configure(self) -> None: ...
    def activate(self) -> None: ...
    def deactivate(self) -> None: ...
    def cleanup(self) -> None: ...

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        result = self._guard(self.configure)
        if result is TransitionCallbackReturn.FAILURE:
            self._guard(self.cleanup)
        return result

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        super().on_activate(state)
        result = self._guard(self.activate)
        if result is TransitionCallbackReturn.FAILURE:
            self.on_deactivate(state)
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        result = self._guard(self.deactivate)
        super().on_deactivate(state)
        return result

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._guard(self.cleanup)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        if state.state_id == State.PRIMARY_STATE_ACTIVE:
            self.on_deactivate(state)
        return self._guard(self.cleanup)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.on_deactivate(state)
        return self._guard(self.cleanup)

    def _failed_start(self) -> UserError:
        return self._start_error or UserError(f'{self.get_name()} could not start', do='See the log above.')

    def _guard(self, step: Callable[[], None]) -> TransitionCallbackReturn:
        try:
            step()
        except UserError as error:
            # The first error is the cause; errors while undoing are its consequences.
            if self._start_error is None:
                self._start_error = error
                if self._is_starting:  # autostart raises it
                    return TransitionCallbackReturn.FAILURE
            self.get_logger().error(str(error))
            return TransitionCallbackReturn.FAILURE
        except Exception:
            self.get_logger().error(traceback.format_exc())
            return TransitionCallbackReturn.ERROR
        return TransitionCallbackReturn.SUCCESS
