"""An app on Slack's own Socket Mode client: echoes commands, acknowledges everything else.

Usage: socket_client.py <address of the Web API> <app-level token>. Ends with its standard input.
"""

import sys

from slack_sdk import WebClient
from slack_sdk.socket_mode import SocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse

# Longer than Slack's limit of 20,480 bytes for a frame.
TOO_LONG = "x" * 21_000


def handle(client: SocketModeClient, request: SocketModeRequest) -> None:
    payload = None
    if request.type == "slash_commands":
        text = request.payload["text"]
        print(f"command {text}", flush=True)
        payload = {"response_type": "ephemeral", "text": TOO_LONG if text == "too long" else f"echo {text}"}
    else:
        print(request.type, flush=True)
    client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id, payload=payload))


def main() -> None:
    api, token = sys.argv[1:]
    web_client = WebClient(base_url=f"{api}/")
    client = SocketModeClient(app_token=token, web_client=web_client, ping_interval=1)
    client.socket_mode_request_listeners.append(handle)
    client.connect()
    sys.stdin.read()
    client.close()


main()
