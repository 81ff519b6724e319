"""Ordinary Azure code in Python: nothing in it knows that the server is not Azure's. Ends with `done`."""

import uuid
from datetime import datetime, timedelta, timezone

from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.identity import DefaultAzureCredential
from azure.keyvault.secrets import KeyVaultSecretIdentifier, SecretClient

VAULT = "https://dev.vault.azure.net"


def refused(kind, status, call, *args):
    try:
        call(*args)
    except kind as error:
        assert error.status_code == status, error
    else:
        raise AssertionError(f"expected {status}")


client = SecretClient(VAULT, DefaultAzureCredential())
name = f"python-{uuid.uuid4().hex[:8]}"
expires = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(days=1)

first = client.set_secret(
    name, "first value", content_type="text/plain", tags={"a": "b"}, expires_on=expires
)
second = client.set_secret(name, "second value: ü")
assert client.get_secret(name).value == "second value: ü"
read = client.get_secret(name, first.properties.version)
assert (read.value, read.properties.content_type) == ("first value", "text/plain")
assert (read.properties.tags, read.properties.expires_on) == ({"a": "b"}, expires)
identifier = KeyVaultSecretIdentifier(second.id)
assert (identifier.vault_url, identifier.name) == (VAULT, name)
assert identifier.version == second.properties.version

client.update_secret_properties(name, first.properties.version, enabled=False)
refused(HttpResponseError, 403, client.get_secret, name, first.properties.version)
client.update_secret_properties(name, first.properties.version, enabled=True)
refused(ResourceNotFoundError, 404, client.get_secret, f"{name}-missing")
assert {p.version for p in client.list_properties_of_secret_versions(name)} == {
    first.properties.version,
    second.properties.version,
}
pages = client.list_properties_of_secrets(max_page_size=1).by_page()
assert name in [item.name for page in pages for item in page]

backup = client.backup_secret(name)
assert client.begin_delete_secret(name).result().name == name
assert name in [item.name for item in client.list_deleted_secrets()]
refused(ResourceExistsError, 409, client.set_secret, name, "again")
assert client.begin_recover_deleted_secret(name).result().name == name
client.begin_delete_secret(name).wait()
client.purge_deleted_secret(name)
assert client.restore_secret_backup(backup).name == name
assert client.get_secret(name, first.properties.version).value == "first value"
client.begin_delete_secret(name).wait()
client.purge_deleted_secret(name)
print("done")
