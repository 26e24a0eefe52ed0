"""Microsoft's own clients work with Gettone: `msgraph-sdk` against the served API, and `azure-identity` through TLS."""

import asyncio
import contextlib
import datetime as dt
import ipaddress
import ssl
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from tests.api.test_serving import serving
from tests.api.world import Tokens, opened_api, populate

pytestmark = [
    pytest.mark.slow,
    # The generated classes of msgraph-sdk warn of their own ancestors.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

USERS = 250


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> tuple[Path, Tokens]:
    path = tmp_path_factory.mktemp("graph") / "gettone.db"
    return path, populate(f"sqlite:///{path}", dt.datetime.now(dt.UTC))


@pytest.fixture(scope="module")
def address(many) -> Iterator[str]:
    path, tokens = many
    with serving(path) as (_, found):
        rows = "".join(f"many{number:03}@contoso.example,US\n" for number in range(USERS))
        imported = httpx.post(
            f"{found}/v1/organisations/contoso/imports/users",
            content="upn,usage_location\n" + rows,
            headers={"Authorization": f"Bearer {tokens.admin}"},
            timeout=60,
        )
        assert imported.status_code == 200, imported.text
        yield found


@contextlib.asynccontextmanager
async def graph(address: str, authentication, verify: ssl.SSLContext | bool = True) -> AsyncIterator:
    """The SDK with our address as its base."""
    from msgraph import GraphRequestAdapter, GraphServiceClient
    from msgraph_core import GraphClientFactory

    # The SDK puts its own transport around this one, and closes only its own.
    async with httpx.AsyncHTTPTransport(verify=verify) as transport, httpx.AsyncClient(transport=transport) as client:
        GraphClientFactory.create_with_default_middleware(client=client)
        adapter = GraphRequestAdapter(authentication, client)
        adapter.base_url = f"{address}/graph/v1.0"
        yield GraphServiceClient(request_adapter=adapter)


def with_key(address: str, key: str):
    """How the SDK gets in over plain http: it asks this for a token, and this asks our token endpoint."""
    from kiota_abstractions.authentication import (
        AccessTokenProvider,
        AllowedHostsValidator,
        BaseBearerTokenAuthenticationProvider,
    )

    class OurTokens(AccessTokenProvider):
        async def get_authorization_token(self, uri, additional_authentication_context=None):
            form = {"client_id": key.split("_")[1], "client_secret": key, "scope": f"{address}/.default"}
            async with httpx.AsyncClient() as client:
                answer = await client.post(
                    f"{address}/contoso/oauth2/v2.0/token", data={**form, "grant_type": "client_credentials"}
                )
            return answer.json()["access_token"]

        def get_allowed_hosts_validator(self):
            return AllowedHostsValidator(["127.0.0.1"])

    return BaseBearerTokenAuthenticationProvider(OurTokens())


def run(address: str, key: str, work):
    async def working():
        async with graph(address, with_key(address, key)) as client:
            return await work(client)

    return asyncio.run(working())


def test_products_and_their_counts_are_listed(address, many):
    async def work(client):
        skus = (await client.subscribed_skus.get()).value
        credits_ = next(sku for sku in skus if sku.sku_part_number == "MCOPSTNC")
        return skus, credits_, await client.subscribed_skus.by_subscribed_sku_id(credits_.id).get()

    skus, credits_, alone = run(address, many[1].read, work)

    assert {"MCOEV", "MCOPSTN1", "MCOPSTN2", "MCOPSTNC"} <= {sku.sku_part_number for sku in skus}
    assert str(credits_.sku_id) == "47794cd0-f0e5-45c5-9033-2eb6b5fc84e0"
    assert (credits_.consumed_units, credits_.capability_status, credits_.applies_to) == (1, "Enabled", "User")
    assert [plan.service_plan_name for plan in credits_.service_plans] == ["MCOPSTNC"]
    assert alone.prepaid_units.enabled == credits_.prepaid_units.enabled > 0


def test_every_user_is_reached_by_following_the_links(address, many):
    from msgraph.generated.users.users_request_builder import UsersRequestBuilder
    from msgraph_core.tasks.page_iterator import PageIterator

    async def work(client):
        wanted = UsersRequestBuilder.UsersRequestBuilderGetQueryParameters(top=60, select=["userPrincipalName"])
        asked = UsersRequestBuilder.UsersRequestBuilderGetRequestConfiguration(query_parameters=wanted)
        names: list[str] = []

        def keep(user) -> bool:
            names.append(user.user_principal_name)
            return True

        await PageIterator(await client.users.get(asked), client.request_adapter).iterate(keep)
        return names, await client.users.count.get()

    names, count = run(address, many[1].read, work)

    assert len(names) == len(set(names)) == count == USERS + 3
    assert names == sorted(names)


def test_users_are_found_by_a_filter(address, many):
    from msgraph.generated.users.users_request_builder import UsersRequestBuilder

    async def work(client):
        wanted = UsersRequestBuilder.UsersRequestBuilderGetQueryParameters(
            filter="userPrincipalName eq 'anna@contoso.example'"
        )
        asked = UsersRequestBuilder.UsersRequestBuilderGetRequestConfiguration(query_parameters=wanted)
        return (await client.users.get(asked)).value

    [anna] = run(address, many[1].read, work)

    assert (anna.id, anna.usage_location, anna.business_phones) == ("anna", "US", ["+12125550100"])
    assert {state.state for state in anna.license_assignment_states} == {"Active"}


def test_a_user_gets_a_usage_location_and_then_licences(address, many):
    from msgraph.generated.models.assigned_license import AssignedLicense
    from msgraph.generated.models.user import User
    from msgraph.generated.users.item.assign_license.assign_license_post_request_body import (
        AssignLicensePostRequestBody,
    )

    async def work(client):
        carla = client.users.by_user_id("carla@contoso.example")
        await carla.patch(User(usage_location="GB", department="Sales"))
        sku_ids = {sku.sku_part_number: sku.sku_id for sku in (await client.subscribed_skus.get()).value}
        added = [AssignedLicense(sku_id=sku_ids[sku], disabled_plans=[]) for sku in ("MCOEV", "MCOPSTN1")]
        assigned = await carla.assign_license.post(AssignLicensePostRequestBody(add_licenses=added, remove_licenses=[]))
        details = (await carla.license_details.get()).value
        await carla.assign_license.post(
            AssignLicensePostRequestBody(add_licenses=[], remove_licenses=[one.sku_id for one in added])
        )
        return sku_ids, assigned, details, await carla.get()

    sku_ids, assigned, details, afterwards = run(address, many[1].admin, work)

    assert {one.sku_id for one in assigned.assigned_licenses} == {sku_ids["MCOEV"], sku_ids["MCOPSTN1"]}
    assert {one.sku_part_number for one in details} == {"MCOEV", "MCOPSTN1"}
    assert {plan.provisioning_status for one in details for plan in one.service_plans} == {"Success"}
    assert (afterwards.usage_location, afterwards.department) == ("GB", "Sales")
    assert afterwards.assigned_licenses == []


def test_errors_arrive_as_the_sdk_s_own(address, many):
    from msgraph.generated.models.assigned_license import AssignedLicense
    from msgraph.generated.models.o_data_errors.o_data_error import ODataError
    from msgraph.generated.users.item.assign_license.assign_license_post_request_body import (
        AssignLicensePostRequestBody,
    )

    async def refused(request) -> ODataError:
        with pytest.raises(ODataError) as caught:
            await request
        return caught.value

    async def work(client):
        unlicensed = client.users.by_user_id("many000@contoso.example").assign_license
        credits_alone = AssignLicensePostRequestBody(
            add_licenses=[AssignedLicense(sku_id="47794cd0-f0e5-45c5-9033-2eb6b5fc84e0")], remove_licenses=[]
        )
        return await refused(client.users.by_user_id("nobody").get()), await refused(unlicensed.post(credits_alone))

    missing, refusal = run(address, many[1].admin, work)
    [detail] = refusal.error.details

    assert (missing.response_status_code, missing.error.code) == (404, "Request_ResourceNotFound")
    assert missing.error.inner_error.request_id
    assert (refusal.response_status_code, refusal.error.code) == (400, "Request_BadRequest")
    assert (detail.code, detail.target) == ("DependencyViolation", "MCOPSTNC")
    assert "gettone licences assign" in refusal.error.message


# -- azure-identity, which insists on https ----------------------------------------------------------------------------


def certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1 that signs itself, with its key, in one file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / "certificate.pem"
    path.write_bytes(private + made.public_bytes(pem))
    return path


@contextlib.contextmanager
def over_tls(app, pem: Path) -> Iterator[str]:
    """The application served by uvicorn, which terminates TLS itself; its address."""
    config = uvicorn.Config(
        app, port=0, log_level="warning", http="h11", loop="asyncio", ssl_certfile=pem, ssl_keyfile=pem
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=asyncio.run, args=(server.serve(),))
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"https://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def test_a_client_secret_credential_gets_in_through_tls(database, tokens, tmp_path):
    from azure.identity.aio import ClientSecretCredential
    from kiota_authentication_azure.azure_identity_authentication_provider import AzureIdentityAuthenticationProvider

    pem, key = certificate(tmp_path), tokens.operator

    async def work(address: str):
        credential = ClientSecretCredential(
            "contoso",
            key.split("_")[1],
            key,
            authority=address,
            disable_instance_discovery=True,
            connection_verify=str(pem),
        )
        authentication = AzureIdentityAuthenticationProvider(
            credential, scopes=[f"{address}/.default"], allowed_hosts=["127.0.0.1"]
        )
        trusting = ssl.create_default_context(cafile=pem)
        async with credential, graph(address, authentication, trusting) as client:
            return (await client.organization.get()).value, await client.users.get()

    with opened_api(f"sqlite:///{database}", tokens) as api, over_tls(api.gettone.app, pem) as address:
        [organisation], users = asyncio.run(work(address))

    assert (organisation.id, organisation.country_letter_code) == ("contoso", "US")
    assert [user.id for user in users.value] == ["anna", "bert", "carla"]
