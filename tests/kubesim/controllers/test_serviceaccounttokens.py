"""Secrets that ask for a service account's token."""

import base64
from random import Random

from kubesim.apiserver.auth.authentication import ISSUER, ServiceAccountTokens
from kubesim.apiserver.auth.tokens import SecretSigner
from kubesim.apiserver.registry.lookup import Lookup

ACCOUNT = "kubernetes.io/service-account.name"


def secret(account="bot"):
    metadata = {"name": "token", "namespace": "default", "annotations": {ACCOUNT: account}}
    kind = "kubernetes.io/service-account-token"
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": kind}


def account():
    metadata = {"name": "bot", "namespace": "default"}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}


async def test_a_token_is_filled_in_holds_and_goes_with_its_account(make_world):
    async with make_world(controllers=False, scheduler=False) as world:
        key = SecretSigner(Random(1))
        world.start_controllers(tokens=key)
        await world.api.create("serviceaccounts", account())
        await world.api.create("secrets", secret())
        await world.settle()
        found = await world.get("secrets", "token")
        assert set(found["data"]) == {"ca.crt", "namespace", "token"}
        token = base64.b64decode(found["data"]["token"]).decode()
        tokens = ServiceAccountTokens(key, Lookup(world.server.storage), world.clock)
        verified = await tokens.verify(token, (ISSUER,))
        assert verified.user.name == "system:serviceaccount:default:bot"
        await world.api.delete("serviceaccounts", "bot", "default")
        await world.settle()
        assert not await world.exists("secrets", "token")
        assert await tokens.verify(token, (ISSUER,)) is None


async def test_a_secret_for_nobody_is_deleted(make_world):
    async with make_world(controllers=False, scheduler=False) as world:
        world.start_controllers(tokens=SecretSigner(Random(1)))
        await world.api.create("secrets", secret("nobody"))
        await world.settle()
        assert not await world.exists("secrets", "token")
