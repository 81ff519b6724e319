#!/bin/sh
# az's commands for certificates, as they are: every one of them, against the vault `dev`, with OpenSSL as the judge of
# what comes out. Run through `exec`; ends with `done`.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export AZURE_CORE_OUTPUT=tsv AZURE_CORE_NO_COLOR=1 AZURE_CORE_ONLY_SHOW_ERRORS=1 AZURE_CONFIG_DIR="$work/az"
cd "$work"

fail() {
  echo "FAILED: $*" >&2
  exit 1
}
is() { [ "$2" = "$3" ] || fail "$1 is $2, not $3"; }
has() { case $2 in *"$3"*) ;; *) fail "$1 is without $3: $2" ;; esac; }
# The command must be refused, for the reason that is given.
refused() {
  reason=$1
  shift
  if answer=$("$@" 2>&1); then fail "not refused: $*"; fi
  has "the refusal of $*" "$answer" "$reason"
}
# The words of the command, then its options: `certificate issuer show --issuer-name …`.
certificate() {
  words=
  while [ "${1#-}" = "$1" ]; do
    words="$words $1"
    shift
  done
  # shellcheck disable=SC2086
  az keyvault certificate $words --vault-name dev "$@"
}

az login --service-principal --username "$AZURE_CLIENT_ID" --password "$AZURE_CLIENT_SECRET" --tenant "$AZURE_TENANT_ID" \
  --allow-no-subscriptions --output none

# Made by itself, by the policy that az proposes.
az keyvault certificate get-default-policy --output json >policy.json
is 'the operation' "$(certificate create --name web --policy @policy.json --query status)" completed
is 'the subject' "$(certificate show --name web --query policy.x509CertificateProperties.subject)" CN=CLIGetDefaultPolicy
has 'the list' "$(certificate list --query '[].id')" /certificates/web
certificate create --name web --policy @policy.json --tags round=2 --output none
is 'the versions' "$(certificate list-versions --name web --query 'length(@)')" 2
version=$(certificate show --name web --query id)
version=${version##*/}
is 'the tags' "$(certificate show --name web --version "$version" --query tags.round)" 2

# Downloaded: the certificate alone, and with its key as the linked secret has it.
certificate download --name web --file web.pem
certificate download --name web --file web.der --encoding DER
is 'the certificate in both forms' \
  "$(openssl x509 -in web.pem -noout -fingerprint)" "$(openssl x509 -inform DER -in web.der -noout -fingerprint)"
has 'what OpenSSL reads' "$(openssl x509 -in web.pem -noout -subject -nameopt RFC2253)" CN=CLIGetDefaultPolicy
openssl verify -CAfile web.pem web.pem >said || fail "$(cat said)"
az keyvault secret download --vault-name dev --name web --file web.pfx --encoding base64
openssl pkcs12 -in web.pfx -passin pass: -nodes -out web-all.pem 2>said || fail "$(cat said)"
is 'the key' "$(openssl pkey -in web-all.pem -pubout)" "$(openssl x509 -in web.pem -pubkey -noout)"

# Brought along: PFX under a password, PEM.
openssl req -x509 -newkey rsa:2048 -nodes -days 90 -subj '/O=Example/CN=brought.example.com' \
  -addext 'subjectAltName=DNS:brought.example.com' -keyout own-key.pem -out own.pem 2>said || fail "$(cat said)"
openssl pkcs12 -export -inkey own-key.pem -in own.pem -passout pass:letmein -out own.pfx
cat own-key.pem own.pem >both.pem
refused 'Pkcs12 value is invalid' \
  certificate import --name brought --file own.pfx --password wrong
certificate import --name brought --file own.pfx --password letmein --output none
is 'the alternative name' "$(certificate show --name brought \
  --query 'policy.x509CertificateProperties.subjectAlternativeNames.dnsNames[0]')" brought.example.com
certificate import --name brought-pem --file both.pem --tags from=pem --output none
certificate download --name brought-pem --file back.pem
is 'what was brought' "$(openssl x509 -in back.pem -noout -fingerprint)" "$(openssl x509 -in own.pem -noout -fingerprint)"
refused BadParameter certificate import --name brought --file own.pem

# Attributes; backup and restore.
certificate set-attributes --name web --enabled false --tags changed=yes --output none
is 'the state' "$(certificate show --name web --query "join(' ', [to_string(attributes.enabled), tags.changed])")" 'false yes'
certificate set-attributes --name web --enabled true --output none
sed 's/"validityInMonths": 12/"validityInMonths": 6/' policy.json >shorter.json
certificate set-attributes --name web --policy @shorter.json --output none
is 'the validity' "$(certificate show --name web --query policy.x509CertificateProperties.validityInMonths)" 6
certificate backup --name web --file web.backup
certificate delete --name web --output none
has 'the deleted ones' "$(certificate list-deleted --query '[].id')" /certificates/web
has 'the deleted one' "$(certificate show-deleted --name web --query recoveryId)" /deletedcertificates/web
refused deleted certificate create --name web --policy @policy.json
certificate recover --name web --output none
is 'the recovered versions' "$(certificate list-versions --name web --query 'length(@)')" 2
refused CertificateNotFound certificate show --name nothing
certificate delete --name web --output none
certificate purge --name web
certificate restore --file web.backup --output none
is 'the restored versions' "$(certificate list-versions --name web --query 'length(@)')" 2
is 'the restored version' "$(certificate show --name web --query id)" "https://dev.vault.azure.net/certificates/web/$version"

# An authority of one's own: the request goes out, the certificate comes back.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj '/CN=Outside CA' \
  -addext keyUsage=critical,keyCertSign -keyout ca-key.pem -out ca.pem 2>said || fail "$(cat said)"
sed -e 's/"name": "Self"/"name": "Unknown"/' -e 's/CLIGetDefaultPolicy/signed.example.com/' policy.json >unknown.json
is 'the operation' "$(certificate create --name signed --policy @unknown.json --query status)" inProgress
{
  echo '-----BEGIN CERTIFICATE REQUEST-----'
  certificate pending show --name signed --query csr | fold -w 64
  echo '-----END CERTIFICATE REQUEST-----'
} >signed.csr
openssl req -in signed.csr -verify -noout 2>said || fail "$(cat said)"
openssl x509 -req -in signed.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 30 -out signed.pem 2>said ||
  fail "$(cat said)"
refused BadParameter certificate pending merge --name signed --file own.pem
certificate pending merge --name signed --file signed.pem --output none
certificate download --name signed --file merged.pem
openssl verify -CAfile ca.pem merged.pem >said || fail "$(cat said)"
is 'what became of it' "$(certificate pending show --name signed --query status)" completed
certificate create --name signed --policy @unknown.json --output none
certificate pending delete --name signed --output none
refused PendingCertificateNotFound certificate pending show --name signed

# Contacts.
certificate contact add --email one@example.com --name One --phone 123 --output none
certificate contact add --email two@example.com --output none
is 'the contacts' "$(certificate contact list --query "join(' ', contactList[].emailAddress)")" 'one@example.com two@example.com'
certificate contact delete --email one@example.com --output none
is 'the contacts' "$(certificate contact list --query "join(' ', contactList[].emailAddress)")" two@example.com
certificate contact delete --email two@example.com --output none

# Issuers and their administrators.
certificate issuer create --issuer-name outside --provider-name DigiCert --account-id 1234 --password not-shown \
  --organization-id 5678 --output none
is 'the provider' "$(certificate issuer show --issuer-name outside --query provider)" DigiCert
case $(certificate issuer show --issuer-name outside --output json) in *not-shown*) fail 'the password is shown' ;; esac
certificate issuer update --issuer-name outside --provider-name DigiCert --account-id 4321 --output none
is 'the account' "$(certificate issuer show --issuer-name outside --query credentials.accountId)" 4321
certificate issuer admin add --issuer-name outside --email boss@example.com \
  --first-name The --last-name Boss --phone 456 --output none
certificate issuer admin add --issuer-name outside --email other@example.com --output none
is 'the administrators' "$(certificate issuer admin list --issuer-name outside --query "join(' ', [].emailAddress)")" \
  'boss@example.com other@example.com'
certificate issuer admin delete --issuer-name outside --email boss@example.com --output none
is 'the administrators' "$(certificate issuer admin list --issuer-name outside --query '[].emailAddress')" other@example.com
has 'the issuers' "$(certificate issuer list --query '[].id')" /certificates/issuers/outside
certificate issuer delete --issuer-name outside --output none
refused CertificateIssuerNotFound certificate issuer show --issuer-name outside

# The authority in this vault: az has no words for its policy, but for its certificate and for what it issues.
cat >authority.json <<'END'
{
  "policy": {
    "key_props": { "kty": "EC", "crv": "P-256", "exportable": false },
    "x509_props": {
      "subject": "CN=Inner CA", "key_usage": ["keyCertSign", "cRLSign"], "ekus": [],
      "basic_constraints": { "ca": true, "path_len_constraint": 0 }
    },
    "issuer": { "name": "Self" }
  }
}
END
az rest --method post --url 'https://dev.vault.azure.net/certificates/inner-ca/create?api-version=2025-07-01' \
  --resource https://vault.azure.net --body @authority.json --output none
certificate issuer create --issuer-name inner --provider-name Strongroom --account-id inner-ca --output none
sed -e 's/"name": "Self"/"name": "inner"/' -e 's/CLIGetDefaultPolicy/inner.example.com/' \
  -e '/"cRLSign",/d' -e '/"keyCertSign"/d' -e 's/"keyAgreement",/"keyAgreement"/' policy.json >issued.json
is 'the operation' "$(certificate create --name issued --policy @issued.json --query status)" completed
certificate download --name inner-ca --file inner-ca.pem
certificate download --name issued --file issued.pem
openssl verify -CAfile inner-ca.pem issued.pem >said || fail "$(cat said)"

for name in web brought brought-pem signed inner-ca issued; do
  certificate delete --name "$name" --output none
  certificate purge --name "$name"
done
certificate issuer delete --issuer-name inner --output none
is 'what is left' "$(certificate list --query 'length(@)')$(certificate list-deleted --query 'length(@)')" 00
echo done
