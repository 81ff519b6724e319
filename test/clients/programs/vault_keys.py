"""Ordinary Azure code in Python: keys of each family, nothing in it knows that the server is not Azure's. Ends with `done`."""

import hashlib
import uuid
from datetime import datetime, timedelta, timezone

from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.identity import DefaultAzureCredential
from azure.keyvault.keys import (
    JsonWebKey,
    KeyClient,
    KeyCurveName,
    KeyRotationLifetimeAction,
    KeyRotationPolicy,
    KeyRotationPolicyAction,
    KeyVaultKeyIdentifier,
)
from azure.keyvault.keys.crypto import EncryptionAlgorithm, KeyWrapAlgorithm, SignatureAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa

VAULT = "https://dev.vault.azure.net"
TEXT = b"what is kept"
RSA_OPERATIONS = ["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"]


def refused(kind, status, call, *args, **options):
    try:
        call(*args, **options)
    except kind as error:
        assert error.status_code == status, error
    else:
        raise AssertionError(f"expected {status}")


def digest(size):
    return hashlib.new(f"sha{size}", TEXT).digest()


def octets(number):
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


client = KeyClient(VAULT, DefaultAzureCredential())
name = f"python-{uuid.uuid4().hex[:8]}"
names = []


def named(suffix):
    names.append(f"{name}-{suffix}")
    return names[-1]


def signs(crypto, algorithm, size):
    """Signed by the server; verified by this library's own OpenSSL, which also sees what was altered."""
    signature = crypto.sign(algorithm, digest(size)).signature
    assert crypto.verify(algorithm, digest(size), signature).is_valid
    altered = signature[:-1] + bytes([signature[-1] ^ 1])
    assert not crypto.verify(algorithm, digest(size), altered).is_valid


# RSA: public operations are this library's own, private ones the server's.
expires = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(days=90)
made = client.create_rsa_key(named("rsa"), size=3072, expires_on=expires, tags={"a": "b"})
assert (made.key_type, made.key_operations) == ("RSA", RSA_OPERATIONS)
assert len(made.key.n) == 384 and made.key.d is None
identifier = KeyVaultKeyIdentifier(made.id)
assert (identifier.vault_url, identifier.name) == (VAULT, made.name)
assert identifier.version == made.properties.version
read = client.get_key(made.name)
assert (read.id, read.key.n) == (made.id, made.key.n)
assert (read.properties.expires_on, read.properties.tags) == (expires, {"a": "b"})
crypto = client.get_cryptography_client(made.name)
for algorithm in (EncryptionAlgorithm.rsa_oaep_256, EncryptionAlgorithm.rsa_oaep, EncryptionAlgorithm.rsa1_5):
    encrypted = crypto.encrypt(algorithm, TEXT)
    assert crypto.decrypt(algorithm, encrypted.ciphertext).plaintext == TEXT
for algorithm in (KeyWrapAlgorithm.rsa_oaep_256, KeyWrapAlgorithm.rsa_oaep):
    wrapped = crypto.wrap_key(algorithm, bytes(range(32)))
    assert crypto.unwrap_key(algorithm, wrapped.encrypted_key).key == bytes(range(32))
for size in (256, 384, 512):
    signs(crypto, SignatureAlgorithm(f"RS{size}"), size)
    signs(crypto, SignatureAlgorithm(f"PS{size}"), size)
refused(HttpResponseError, 400, crypto.decrypt, EncryptionAlgorithm.rsa_oaep_256, bytes(384))

# EC, on every curve, with and without HSM.
for curve, algorithm, size in (
    (KeyCurveName.p_256, SignatureAlgorithm.es256, 256),
    (KeyCurveName.p_384, SignatureAlgorithm.es384, 384),
    (KeyCurveName.p_521, SignatureAlgorithm.es512, 512),
    (KeyCurveName.p_256_k, SignatureAlgorithm.es256_k, 256),
):
    for hsm in (False, True):
        made = client.create_ec_key(named(f"{curve.value}-{hsm}"), curve=curve, hardware_protected=hsm)
        assert (made.key_type, made.key.crv) == ("EC-HSM" if hsm else "EC", curve)
        signs(client.get_cryptography_client(made.name), algorithm, size)

# Symmetric: all is done by the server.
made = client.create_oct_key(named("oct"), size=256, hardware_protected=True)
assert (made.key_type, made.key.k) == ("oct-HSM", None)
crypto = client.get_cryptography_client(made.name)
gcm = EncryptionAlgorithm.a256_gcm
encrypted = crypto.encrypt(gcm, TEXT, additional_authenticated_data=b"context")
context = {"iv": encrypted.iv, "authentication_tag": encrypted.tag}
opened = crypto.decrypt(gcm, encrypted.ciphertext, **context, additional_authenticated_data=b"context")
assert opened.plaintext == TEXT
refused(HttpResponseError, 400, crypto.decrypt, gcm, encrypted.ciphertext, **context)
cbc = EncryptionAlgorithm.a256_cbcpad
encrypted = crypto.encrypt(cbc, TEXT, iv=bytes(16))
assert crypto.decrypt(cbc, encrypted.ciphertext, iv=encrypted.iv).plaintext == TEXT
wrapped = crypto.wrap_key(KeyWrapAlgorithm.aes_256, bytes(range(32)))
assert crypto.unwrap_key(KeyWrapAlgorithm.aes_256, wrapped.encrypted_key).key == bytes(range(32))

# Keys that were made here, and are the same there.
private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
numbers = private.private_numbers()
public = numbers.public_numbers
parts = {"n": public.n, "e": public.e, "d": numbers.d, "p": numbers.p, "q": numbers.q}
parts |= {"dp": numbers.dmp1, "dq": numbers.dmq1, "qi": numbers.iqmp}
members = {part: octets(number) for part, number in parts.items()}
jwk = JsonWebKey(kty="RSA", key_ops=["sign", "verify"], **members)
imported = client.import_key(named("imported-rsa"), jwk, hardware_protected=True)
assert (imported.key_type, imported.key.n) == ("RSA-HSM", octets(public.n))
signs(client.get_cryptography_client(imported.name), SignatureAlgorithm.rs256, 256)
numbers = ec.generate_private_key(ec.SECP384R1()).private_numbers()
point = numbers.public_numbers
jwk = JsonWebKey(
    kty="EC",
    crv="P-384",
    x=point.x.to_bytes(48, "big"),
    y=point.y.to_bytes(48, "big"),
    d=numbers.private_value.to_bytes(48, "big"),
)
imported = client.import_key(named("imported-ec"), jwk)
assert imported.key.x == point.x.to_bytes(48, "big")
signs(client.get_cryptography_client(imported.name), SignatureAlgorithm.es384, 384)

# Rotation, by hand and what a policy says of it.
made = client.create_ec_key(named("rotated"), key_operations=["sign", "verify"])
policy = client.get_key_rotation_policy(made.name)
assert [action.action for action in policy.lifetime_actions] == [KeyRotationPolicyAction.notify]
action = KeyRotationLifetimeAction(KeyRotationPolicyAction.rotate, time_after_create="P60D")
policy = client.update_key_rotation_policy(
    made.name, KeyRotationPolicy(), expires_in="P90D", lifetime_actions=[action]
)
assert (policy.expires_in, policy.lifetime_actions[0].time_after_create) == ("P90D", "P60D")
assert client.get_key_rotation_policy(made.name).expires_in == "P90D"
rotated = client.rotate_key(made.name)
assert rotated.properties.version != made.properties.version and rotated.key.x != made.key.x
left = rotated.properties.expires_on - datetime.now(timezone.utc)
assert timedelta(days=89) < left < timedelta(days=91)
assert {p.version for p in client.list_properties_of_key_versions(made.name)} == {
    made.properties.version,
    rotated.properties.version,
}
old = client.get_cryptography_client(made.name, key_version=made.properties.version)
new = client.get_cryptography_client(made.name)
signature = old.sign(SignatureAlgorithm.es256, digest(256)).signature
assert old.verify(SignatureAlgorithm.es256, digest(256), signature).is_valid
assert not new.verify(SignatureAlgorithm.es256, digest(256), signature).is_valid

# What a key may be used for, and by its state.
client.update_key_properties(made.name, key_operations=["verify"])
refused(HttpResponseError, 403, client.get_cryptography_client(made.name).sign, "ES256", digest(256))
client.update_key_properties(made.name, key_operations=["sign", "verify"], enabled=False)
refused(HttpResponseError, 403, client.get_cryptography_client(made.name).sign, "ES256", digest(256))
client.update_key_properties(made.name, enabled=True, tags={"c": "d"})
assert client.get_key(made.name).properties.tags == {"c": "d"}
refused(ResourceNotFoundError, 404, client.get_key, f"{name}-missing")
refused(HttpResponseError, 400, client.create_rsa_key, f"{name}-missing", size=1024)
refused(HttpResponseError, 400, client.create_ec_key, f"{name}-missing", hardware_protected=True, exportable=True)
pages = client.list_properties_of_keys(max_page_size=2).by_page()
assert set(names) <= {item.name for page in pages for item in page}

# Backup, deletion, recovery, purge: signatures of before verify after.
backup = client.backup_key(made.name)
deleted = client.begin_delete_key(made.name).result()
assert deleted.recovery_id == f"{VAULT}/deletedkeys/{made.name}"
assert made.name in [item.name for item in client.list_deleted_keys()]
refused(ResourceExistsError, 409, client.create_ec_key, made.name)
assert client.begin_recover_deleted_key(made.name).result().id == rotated.id
refused(ResourceExistsError, 409, client.restore_key_backup, backup)
client.begin_delete_key(made.name).wait()
client.purge_deleted_key(made.name)
assert client.restore_key_backup(backup).id == rotated.id
restored = client.get_cryptography_client(made.name, key_version=made.properties.version)
assert restored.verify(SignatureAlgorithm.es256, digest(256), signature).is_valid
signs(client.get_cryptography_client(made.name), SignatureAlgorithm.es256, 256)

for each in names:
    client.begin_delete_key(each).wait()
    client.purge_deleted_key(each)
print("done")
