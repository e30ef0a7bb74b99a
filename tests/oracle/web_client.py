"""Slack's own Web API client against FakeSlack.

Usage: web_client.py <address of the Web API> <bot token> <person> <channel without the app> <trigger id>. Prints one line
for each call: its method and its result.
"""

import sys

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler
from slack_sdk.models.blocks import InputBlock, PlainTextInputElement
from slack_sdk.models.views import View


def report(what: str, call) -> dict:
    try:
        response = call()
    except SlackApiError as error:
        retry_after = error.response.headers.get("Retry-After")
        needed = error.response.get("needed")
        print(what, error.response["error"], retry_after or needed or "", flush=True)
        return {}
    print(what, "ok", flush=True)
    return response


def main() -> None:
    api, token, person, channel, trigger_id = sys.argv[1:]
    client = WebClient(token=token, base_url=f"{api}/", retry_handlers=[])
    report("auth.test", client.auth_test)
    posted = report("chat.postMessage", lambda: client.chat_postMessage(channel=person, text="hello"))
    report("chat.update", lambda: client.chat_update(channel=posted["channel"], ts=posted["ts"], text="changed"))
    report("chat.update", lambda: client.chat_update(channel=posted["channel"], ts="1.000001", text="lost"))
    report("chat.postMessage", lambda: client.chat_postMessage(channel=channel, text="hello"))
    report("chat.postMessage", lambda: WebClient(token="xoxb-other", base_url=f"{api}/").chat_postMessage(channel=person, text="hello"))
    phone = InputBlock(block_id="phone", label="Phone", element=PlainTextInputElement(action_id="phone"))
    view = View(type="modal", callback_id="new", title="New session", submit="Create", blocks=[phone])
    report("views.open", lambda: client.views_open(trigger_id=trigger_id, view=view))
    report("views.open", lambda: client.views_open(trigger_id=trigger_id, view=view))
    # The fake answers the next call with 429, and the one after it.
    report("chat.postMessage", lambda: client.chat_postMessage(channel=person, text="limited"))
    client.retry_handlers.append(RateLimitErrorRetryHandler(max_retry_count=1))
    report("chat.postMessage", lambda: client.chat_postMessage(channel=person, text="repeated"))


main()
