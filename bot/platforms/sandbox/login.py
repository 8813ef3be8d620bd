"""Logging in: the legacy endpoint, the current CAA flow, and the second factor of both."""

from __future__ import annotations

import json
import secrets
from typing import Any

from bot.platforms.sandbox.net import Answer, Call, Network, Refusal, Routes, fail, ok
from bot.platforms.sandbox.sessions import KEY_ID, totp_fits
from bot.platforms.sandbox.shapes import user_short
from bot.platforms.sandbox.things import Person

routes = Routes()
_ASYNC = r"/api/v1/bloks/async_action/"
_APPS = r"/api/v1/bloks/apps/"


@routes("GET", r"/api/v1/qe/sync/", open=True)
@routes("POST", r"/api/v1/qe/sync/", open=True)
@routes("POST", r"/api/v1/launcher/sync/", open=True)
def sync(net: Network, call: Call) -> Answer:
    answer = ok(configs={}, experiments=[])
    answer.headers |= {
        "ig-set-password-encryption-key-id": str(KEY_ID),
        "ig-set-password-encryption-pub-key": net.sessions.public_key(),
        "ig-set-x-mid": secrets.token_urlsafe(18),
    }
    return answer


@routes("POST", r"/api/v1/accounts/login/", open=True)
def login_legacy(net: Network, call: Call) -> Answer:
    person = _checked(net, call.text("username"), call.text("enc_password"))
    if person is None:
        return fail(
            400,
            "The password you entered is incorrect. Please try again.",
            error_type="bad_password",
            invalid_credentials=True,
        )
    if person.totp_secret:
        info = {
            "username": person.username,
            "two_factor_identifier": net.sessions.wait_for_code(person),
            "totp_two_factor_on": True,
            "sms_two_factor_on": False,
            "pending_trusted_notification": False,
        }
        return fail(
            400, "", error_type="two_factor_required", two_factor_required=True,
            two_factor_info=info,
        )  # fmt: skip
    return _welcome(net, person)


@routes("POST", r"/api/v1/accounts/two_factor_login/", open=True)
def two_factor_login(net: Network, call: Call) -> Answer:
    pk = net.sessions.waiting(call.text("two_factor_identifier"))
    if not pk:
        return fail(400, "Invalid Parameters", error_type="invalid_identifier")
    person = net.world.user(pk)
    if not _code_fits(net, person, call.text("verification_code")):
        return fail(
            400,
            "Please check the security code and try again.",
            error_type="sms_code_validation_code_invalid",
        )
    return _welcome(net, person)


@routes("POST", r"/api/v1/accounts/logout/")
def logout(net: Network, call: Call) -> Answer:
    net.sessions.revoke(call.me)
    return ok(login_nonce="")


# the CAA flow of `Client.login`


@routes("POST", r"/graphql_www", open=True)
def graphql(net: Network, call: Call) -> Answer:
    if call.data.get("fb_api_req_friendly_name") != "IGUSDIDRegistrationMutation":
        return fail(404, "Unknown query")
    return ok(data={"xig_usdid_registration(input:$input)": {"success": True}})


@routes("POST", _ASYNC + r"com\.bloks\.www\.bloks\.caa\.login\.process_client_data_.*", open=True)
def caa_home(net: Network, call: Call) -> Answer:
    access = {"key": "CAA_ACCOUNT_ACCESS_CONTEXT:aac", "initial": secrets.token_urlsafe(40)}
    return _bloks("", data=[{"data": access}])


@routes("POST", r"/api/v1/attestation/create_android_keystore/", open=True)
def keystore(net: Network, call: Call) -> Answer:
    nonces = {"challenge_nonce": secrets.token_urlsafe(24), "key_nonce": secrets.token_urlsafe(24)}
    return ok(**nonces)


@routes("POST", _ASYNC + r"com\.bloks\.www\.caa\.login\.oauth\.token\.fetch\.async/", open=True)
def caa_tokens(net: Network, call: Call) -> Answer:
    return _bloks("")


@routes("POST", _ASYNC + r"com\.bloks\.www\.bloks\.caa\.login\.async\.send_.*", open=True)
def caa_login(net: Network, call: Call) -> Answer:
    sent = _params(call)["client_input_params"]
    person = _checked(net, str(sent.get("contact_point", "")), str(sent.get("password", "")))
    if person is None:  # the app is sent back to the legacy endpoint, which gives the reason
        return _bloks("", data=[{"data": {"key": "CAA_LOGIN_FALLBACK:legacy_login"}}])
    if person.totp_secret:
        context = json.dumps(net.sessions.wait_for_code(person))
        inner = f'(f4i (dkc "two_step_verification_context") (dkc {context}))'
        return _bloks(
            '(bk.action.navigation.OpenScreen "com.bloks.www.two_step_verification.entrypoint" '
            f'(f4i (dkc "server_params") (dkc {inner})))'
        )
    return _bloks(_signed_in(net, person))


@routes("POST", _APPS + r"com\.bloks\.www\.two_(step_verification|factor_login)\..*", open=True)
@routes("POST", _ASYNC + r"com\.bloks\.www\.two_step_verification\.method_picker.*", open=True)
def caa_screens(net: Network, call: Call, **_: str) -> Answer:
    return _bloks("")


@routes("POST", _ASYNC + r"com\.bloks\.www\.two_step_verification\.verify_code\.async/", open=True)
def caa_verify(net: Network, call: Call) -> Answer:
    sent = _params(call)
    pk = net.sessions.waiting(str(sent["server_params"].get("two_step_verification_context", "")))
    code = str(sent["client_input_params"].get("code", ""))
    if not pk or not _code_fits(net, net.world.user(pk), code):
        return _bloks('(bk.action.ShowToast "This code isn\'t right")')
    return _bloks(_signed_in(net, net.world.user(pk)))


def _checked(net: Network, name: str, sent: str) -> Person | None:
    """The person, when the password is right."""
    try:
        person, password = net.world.user(name), net.sessions.password(sent)
    except (KeyError, ValueError):
        return None
    right = person.password and secrets.compare_digest(person.password.encode(), password.encode())
    return person if right else None


def _code_fits(net: Network, person: Person, code: str) -> bool:
    return bool(person.totp_secret) and totp_fits(
        person.totp_secret, code.replace(" ", ""), net.world.clock()
    )


def _open(net: Network, person: Person) -> str:
    net.journal.write("login", actor=person.username, ids={"user_id": person.pk})
    return net.sessions.open(person)


def _welcome(net: Network, person: Person) -> Answer:
    answer = ok(logged_in_user=user_short(net, person))
    answer.headers["ig-set-authorization"] = _open(net, person)
    return answer


def _signed_in(net: Network, person: Person) -> str:
    """A Bloks program that carries the login's answer as a string inside a string."""
    inner = {
        "login_response": json.dumps({"logged_in_user": user_short(net, person), "status": "ok"}),
        "headers": json.dumps({"IG-Set-Authorization": _open(net, person)}),
        "cookies": "",
    }
    return f"(bk.action.caa.HandleLoginResponse {json.dumps(json.dumps(inner))})"


def _bloks(action: str, data: list[Any] | None = None) -> Answer:
    payload = {"action": action, "data": data or [], "error_attribution": {}}
    return ok(layout={"bloks_payload": payload})


def _params(call: Call) -> dict[str, Any]:
    try:
        sent = json.loads(call.text("params"))
    except ValueError:
        sent = None
    if not isinstance(sent, dict) or "client_input_params" not in sent:
        raise Refusal(fail(400, "Invalid Parameters"))
    return sent
