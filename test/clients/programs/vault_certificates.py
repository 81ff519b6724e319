"""Ordinary Azure code in Python: certificates made, signed elsewhere, brought along, served by TLS. Ends with `done`."""

import socket
import ssl
import tempfile
import threading
import uuid
from base64 import b64decode
from datetime import datetime, timedelta, timezone

from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.identity import DefaultAzureCredential
from azure.keyvault.certificates import (
    AdministratorContact,
    CertificateClient,
    CertificateContact,
    CertificateContentType,
    CertificatePolicy,
    CertificatePolicyAction,
    KeyCurveName,
    KeyType,
    KeyUsageType,
    LifetimeAction,
    WellKnownIssuerNames,
)
from azure.keyvault.keys import KeyClient
from azure.keyvault.keys.crypto import SignatureAlgorithm
from azure.keyvault.secrets import SecretClient
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VAULT = "https://dev.vault.azure.net"
credential = DefaultAzureCredential()
client = CertificateClient(VAULT, credential)
keys = KeyClient(VAULT, credential)
secrets = SecretClient(VAULT, credential)
mark = f"python-{uuid.uuid4().hex[:8]}"
names = []


def named(suffix):
    names.append(f"{mark}-{suffix}")
    return names[-1]


def refused(kind, status, call, *args, **options):
    try:
        call(*args, **options)
    except kind as error:
        assert error.status_code == status, error
    else:
        raise AssertionError(f"expected {status}")


def public(key):
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def parsed(certificate):
    return x509.load_der_x509_certificate(bytes(certificate.cer))


def serves(authority, chain, key, host="localhost"):
    """A TLS server by this certificate and key, and a client that trusts only `authority`."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        file.write(b"".join(each.public_bytes(Encoding.PEM) for each in chain))
        file.flush()
        server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server_side.load_cert_chain(file.name)
    client_side = ssl.create_default_context(cadata=authority.public_bytes(Encoding.DER))
    # A self-signed certificate is its own authority, which this library's strict mode wants to be marked as one.
    client_side.verify_flags &= ~ssl.VERIFY_X509_STRICT
    here, there = socket.socketpair()

    def serve():
        with server_side.wrap_socket(there, server_side=True) as connection:
            connection.sendall(connection.recv(16).upper())

    thread = threading.Thread(target=serve)
    thread.start()
    with client_side.wrap_socket(here, server_hostname=host) as connection:
        connection.sendall(b"hello")
        assert connection.recv(16) == b"HELLO"
    thread.join()


# Self-signed, by a policy in full; the certificate says what the policy said.
policy = CertificatePolicy(
    WellKnownIssuerNames.self,
    subject="CN=localhost,O=Example\\, Ltd.",
    san_dns_names=["localhost", "*.example.com"],
    san_emails=["someone@example.com"],
    san_user_principal_names=["someone@corp.example.com"],
    san_ip_addresses=["127.0.0.1", "::1"],
    san_uris=["https://example.com/who"],
    key_type=KeyType.rsa,
    key_size=3072,
    exportable=True,
    reuse_key=False,
    key_usage=[KeyUsageType.digital_signature, KeyUsageType.key_encipherment],
    enhanced_key_usage=["1.3.6.1.5.5.7.3.1"],
    content_type=CertificateContentType.pkcs12,
    validity_in_months=6,
    lifetime_actions=[LifetimeAction(CertificatePolicyAction.auto_renew, days_before_expiry=30)],
)
made = client.begin_create_certificate(named("own"), policy, tags={"a": "b"}).result()
assert (made.properties.enabled, made.properties.tags) == (True, {"a": "b"})
certificate = parsed(made)
assert made.properties.x509_thumbprint == certificate.fingerprint(hashes.SHA1())
organization = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
assert [each.value for each in organization] == ["Example, Ltd."]
alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
assert alternatives.get_values_for_type(x509.DNSName) == ["localhost", "*.example.com"]
assert alternatives.get_values_for_type(x509.RFC822Name) == ["someone@example.com"]
assert [str(each) for each in alternatives.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
assert alternatives.get_values_for_type(x509.UniformResourceIdentifier) == ["https://example.com/who"]
other = alternatives.get_values_for_type(x509.OtherName)
assert [each.type_id.dotted_string for each in other] == ["1.3.6.1.4.1.311.20.2.3"]
usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
assert (usage.digital_signature, usage.key_encipherment, usage.key_cert_sign) == (True, True, False)
purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
assert list(purposes) == [ExtendedKeyUsageOID.SERVER_AUTH]
assert certificate.public_key().key_size == 3072
assert timedelta(days=180) < certificate.not_valid_after_utc - certificate.not_valid_before_utc < timedelta(days=185)
assert made.properties.expires_on == certificate.not_valid_after_utc
assert (made.policy.san_ip_addresses, made.policy.san_uris) == (policy.san_ip_addresses, policy.san_uris)

# Its key signs, its secret holds both; neither is listed as somebody's own, nor changed by itself.
key = keys.get_key(made.name)
assert key.properties.managed and key.id == made.key_id
digest = hashes.Hash(hashes.SHA256())
digest.update(b"what is signed")
digest = digest.finalize()
signature = keys.get_cryptography_client(made.name).sign(SignatureAlgorithm.rs256, digest).signature
certificate.public_key().verify(signature, b"what is signed", padding.PKCS1v15(), hashes.SHA256())
secret = secrets.get_secret(made.name)
assert (secret.id, secret.properties.content_type) == (made.secret_id, "application/x-pkcs12")
private, leaf, more = pkcs12.load_key_and_certificates(b64decode(secret.value), None)
assert leaf == certificate and not more
assert public(private.public_key()) == public(certificate.public_key())
serves(certificate, [leaf], private)
serves(certificate, [leaf], private, host="127.0.0.1")
refused(HttpResponseError, 403, secrets.begin_delete_secret, made.name)
refused(HttpResponseError, 403, keys.begin_delete_key, made.name)

# The next version: the old one stays.
policy = client.get_certificate_policy(made.name)
policy = CertificatePolicy(
    policy.issuer_name, subject="CN=localhost", san_dns_names=["localhost"], key_type=KeyType.ec,
    key_curve_name=KeyCurveName.p_384, content_type=CertificateContentType.pem, validity_in_months=3,
)
client.update_certificate_policy(made.name, policy)
again = client.begin_create_certificate(made.name, client.get_certificate_policy(made.name)).result()
assert again.properties.version != made.properties.version
assert client.get_certificate_version(made.name, made.properties.version).cer == made.cer
versions = {each.version for each in client.list_properties_of_certificate_versions(made.name)}
assert versions == {made.properties.version, again.properties.version}
pem = secrets.get_secret(made.name).value.encode()
private = load_pem_private_key(pem, None)
[leaf] = x509.load_pem_x509_certificates(pem)
assert leaf == parsed(again) and private.curve.name == "secp384r1"
serves(leaf, [leaf], private)

# Attributes, lists, backup, deletion, recovery.
client.update_certificate_properties(made.name, enabled=False, tags={"c": "d"})
assert client.get_certificate(made.name).properties.enabled is False
refused(HttpResponseError, 403, secrets.get_secret, made.name)
client.update_certificate_properties(made.name, enabled=True)
refused(ResourceNotFoundError, 404, client.get_certificate, f"{mark}-missing")
pages = client.list_properties_of_certificates(max_page_size=1).by_page()
assert made.name in [item.name for page in pages for item in page]
backup = client.backup_certificate(made.name)
deleted = client.begin_delete_certificate(made.name).result()
assert deleted.recovery_id == f"{VAULT}/deletedcertificates/{made.name}"
refused(ResourceNotFoundError, 404, keys.get_key, made.name)
refused(ResourceExistsError, 409, client.begin_create_certificate, made.name, policy)
assert made.name in [item.name for item in client.list_deleted_certificates()]
assert client.begin_recover_deleted_certificate(made.name).result().id == again.id
refused(ResourceExistsError, 409, client.restore_certificate_backup, backup)
client.begin_delete_certificate(made.name).wait()
client.purge_deleted_certificate(made.name)
assert client.restore_certificate_backup(backup).id == again.id
assert secrets.get_secret(made.name).value.encode() == pem

# Signed elsewhere: the request goes out, the chain comes back.
authority_key = ec.generate_private_key(ec.SECP256R1())
authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Outside CA")])
now = datetime.now(timezone.utc).replace(microsecond=0)


def signed(subject, key, *extensions):
    builder = x509.CertificateBuilder(authority_name, subject, key, x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=30))
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(authority_key, hashes.SHA256())


authority = signed(authority_name, authority_key.public_key(), x509.BasicConstraints(True, 0))
policy = CertificatePolicy(
    WellKnownIssuerNames.unknown, subject="CN=merged.example.com", key_type=KeyType.rsa, exportable=False
)
assert client.begin_create_certificate(named("merged"), policy).result().status == "inProgress"
request = x509.load_der_x509_csr(client.get_certificate_operation(names[-1]).csr)
assert request.is_signature_valid
foreign = signed(request.subject, authority_key.public_key())
refused(HttpResponseError, 400, client.merge_certificate, names[-1], [foreign.public_bytes(Encoding.DER)])
leaf = signed(request.subject, request.public_key())
chain = [each.public_bytes(Encoding.DER) for each in (leaf, authority)]
merged = client.merge_certificate(names[-1], chain)
assert parsed(merged) == leaf
assert client.get_certificate_operation(names[-1]).status == "completed"
private, leaf, more = pkcs12.load_key_and_certificates(b64decode(secrets.get_secret(merged.name).value), None)
assert (private, leaf, more) == (None, None, [parsed(merged), authority])

# Cancelled, and forgotten.
client.begin_create_certificate(merged.name, policy).wait()
assert client.cancel_certificate_operation(merged.name).status == "cancelled"
assert client.delete_certificate_operation(merged.name).status == "cancelled"
refused(ResourceNotFoundError, 404, client.get_certificate_operation, merged.name)

# Brought along: PFX under a password, with its chain.
own_key = ec.generate_private_key(ec.SECP256R1())
san = x509.SubjectAlternativeName([x509.DNSName("localhost")])
own = signed(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "brought")]), own_key.public_key(), san)
pfx = pkcs12.serialize_key_and_certificates(b"own", own_key, own, [authority], BestAvailableEncryption(b"letmein"))
refused(HttpResponseError, 400, client.import_certificate, named("brought"), pfx, password="wrong")
brought = client.import_certificate(names[-1], pfx, password="letmein", tags={"from": "elsewhere"})
assert parsed(brought) == own
assert brought.policy.san_dns_names == ["localhost"] and brought.policy.key_curve_name == "P-256"
private, leaf, more = pkcs12.load_key_and_certificates(b64decode(secrets.get_secret(brought.name).value), None)
assert (leaf, more) == (own, [authority])
serves(authority, [leaf, *more], private)

# Contacts and issuers.
contacts = [CertificateContact(email="one@example.com", name="One", phone="123"), CertificateContact(email="two@example.com")]
assert [each.email for each in client.set_contacts(contacts)] == ["one@example.com", "two@example.com"]
assert [each.name for each in client.get_contacts()] == ["One", None]
client.delete_contacts()
refused(ResourceNotFoundError, 404, client.get_contacts)
administrators = [AdministratorContact(first_name="The", last_name="Boss", email="boss@example.com", phone="456")]
issuer = client.create_issuer(
    mark, "DigiCert", account_id="1234", password="not shown", organization_id="5678", admin_contacts=administrators
)
assert (issuer.provider, issuer.account_id, issuer.password) == ("DigiCert", "1234", None)
issuer = client.update_issuer(mark, account_id="4321", enabled=False)
assert (issuer.account_id, issuer.enabled, issuer.admin_contacts[0].email) == ("4321", False, "boss@example.com")
assert client.get_issuer(mark).organization_id == "5678"
assert mark in [each.name for each in client.list_properties_of_issuers()]
client.delete_issuer(mark)
refused(ResourceNotFoundError, 404, client.get_issuer, mark)

for each in names:
    client.begin_delete_certificate(each).wait()
    client.purge_deleted_certificate(each)
    refused(ResourceNotFoundError, 404, secrets.get_secret, each)
print("done")
