"""The token that an installation is given for its administrator: one for every process, and replaceable."""

import asyncio

import pytest

from kit.errors import Unauthorized
from kit.identity import Role
from kit.service import Kit
from services.portal.bootstrap import TokenTooShort, ensure_admin, take_admin_token

FIRST, SECOND = "a" * 40, "b" * 40


async def test_several_processes_take_the_same_token(kit_env: Kit) -> None:
    await asyncio.gather(*(take_admin_token(kit_env, FIRST) for _ in range(4)))
    found = await kit_env.identity.by_token(FIRST)
    assert found.account.name == "admin"
    assert Role.ADMIN in found.account.roles


async def test_a_new_token_ends_the_one_before_and_what_a_start_made(kit_env: Kit) -> None:
    made = await ensure_admin(kit_env)
    assert made is not None
    await take_admin_token(kit_env, FIRST)
    await take_admin_token(kit_env, SECOND)
    await kit_env.identity.by_token(SECOND)
    for old in (made, FIRST):
        with pytest.raises(Unauthorized):
            await kit_env.identity.by_token(old)


async def test_a_token_that_can_be_guessed_is_refused(kit_env: Kit) -> None:
    with pytest.raises(TokenTooShort, match="openssl rand"):
        await take_admin_token(kit_env, "short")
