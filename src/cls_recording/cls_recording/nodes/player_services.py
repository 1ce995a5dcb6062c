"""Services by which a person controls a replay."""

from collections.abc import Callable

from rclpy.node import Node
from std_srvs.srv import SetBool

from cls_common import comms
from cls_common.errors import UserError
from cls_interfaces.srv import Seek, SetRate

from ..playback.replay import Replay


class PlayerServices:
    """Serves player/set_paused, player/set_rate and player/seek.

    Args:
        on_change: called after each request.
    """

    def __init__(self, node: Node, replay: Replay, on_change: Callable[[], None]) -> None:
        self._replay = replay
        self._on_change = on_change
        node.create_service(SetBool, comms.PAUSE_PLAYER.name, self._set_paused)
        node.create_service(SetRate, comms.SET_PLAYER_RATE.name, self._set_rate)
        node.create_service(Seek, comms.SEEK_PLAYER.name, self._seek)

    def _set_paused(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._replay.is_paused = request.data
        response.success, response.message = True, 'paused' if request.data else 'continued'
        self._on_change()
        return response

    def _set_rate(self, request: SetRate.Request, response: SetRate.Response) -> SetRate.Response:
        try:
            self._replay.playlist.clock.set_rate(request.rate)
            response.success, response.message = True, f'rate {request.rate:g}'
        except UserError as error:
            response.message = str(error)
        self._on_change()
        return response

    def _seek(self, request: Seek.Request, response: Seek.Response) -> Seek.Response:
        try:
            self._replay.seek(request.session_index, request.position)
            path = self._replay.playlist.source.path
            response.success, response.message = True, f'at {request.position:g} s of {path}'
        except UserError as error:
            response.message = str(error)
        self._on_change()
        return response
