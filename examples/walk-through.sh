#!/bin/sh
# The management plane by the az command line as it is: groups, vaults, secrets, keys, certificates, access policies,
# network rules and roles are set up as Azure's documentation does it, and tried out by those whom they are about. The
# server was started with --dev; everything made here has a name of its own.
#
#   bin/strongroom exec -- sh examples/walk-through.sh                             on az's default cloud
#   bin/strongroom exec -- sh examples/walk-through.sh strongroom.localhost:8443   on a cloud made known to az
set -eu
domain=${1-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export AZURE_CORE_COLLECT_TELEMETRY=0 AZURE_CORE_LOGIN_EXPERIENCE_V2=off AZURE_CORE_OUTPUT=tsv AZURE_CORE_NO_COLOR=1
export AZURE_CORE_ONLY_SHOW_ERRORS=1

run=$(od -An -N3 -tx1 /dev/urandom | tr -d ' \n')
rg=rg1-$run kv1=kv1-$run kv2=kv2-$run
secret=hVFkk965BuUv
password=Walk-through-$secret

say() { printf '%s\n' "$*"; }
fail() {
  say "FAILED: $*" >&2
  exit 1
}
# Who acts from here on: each has a sign-in, and what az keeps of it, of their own.
become() {
  export AZURE_CONFIG_DIR="$work/$1"
  [ -d "$AZURE_CONFIG_DIR" ] && return
  mkdir "$AZURE_CONFIG_DIR"
  [ -z "$domain" ] || register
}
# The tenant name "adfs" keeps az from asking Microsoft whether the sign-in host is one of theirs.
register() {
  management=https://management.$domain graph=https://graph.$domain
  cat >"$work/cloud.json" <<END
{
  "endpoints": {
    "activeDirectory": "https://login.$domain/adfs",
    "activeDirectoryResourceId": "$management/",
    "activeDirectoryGraphResourceId": "$graph/",
    "microsoftGraphResourceId": "$graph/",
    "resourceManager": "$management",
    "management": "$management/"
  },
  "suffixes": { "keyvaultDns": ".vault.$domain" }
}
END
  az cloud register --name Strongroom --cloud-config "@$work/cloud.json"
  az cloud set --name Strongroom
}
# az warns at each deletion that there is soft delete.
quiet() { "$@" --output none 2>"$work/said" || fail "$(cat "$work/said")"; }
is() { [ "$2" = "$3" ] || fail "$1 is $2, not $3"; }
# The command must be refused, for the reason that is given.
refused() {
  reason=$1
  shift
  if answer=$("$@" 2>&1); then fail "not refused: $*"; fi
  case $answer in
    *"$reason"*) ;;
    *) fail "refused, but not with $reason: $*: $answer" ;;
  esac
}
# What a user does in a browser: opens the page $1, types the code $2, then name and password.
sign_in_at() {
  token=$(curl -sS -c "$work/cookies" "$1" | sed -n 's/.*name="token" value="\([^"]*\)".*/\1/p')
  curl -sS -b "$work/cookies" --data-urlencode "token=$token" --data-urlencode "user_code=$2" \
    --data-urlencode "username=$user" --data-urlencode "password=$password" -d action=approve "$1" >"$work/page"
  grep -q 'You have signed in' "$work/page" || fail "the page for device codes: $(cat "$work/page")"
}

say "cloud         ${domain:-az's default}"
become owner
az login --service-principal --username "$AZURE_CLIENT_ID" --password "$AZURE_CLIENT_SECRET" \
  --tenant "$AZURE_TENANT_ID" --output none
subscription=/subscriptions/$(az account show --query id)
say "sign-in       with a secret: $subscription"

az group create --name "$rg" --location eastus --output none
az keyvault create --name "$kv1" --resource-group "$rg" --location eastus --enable-rbac-authorization false --output none
say "vault         $(az keyvault show --name "$kv1" --query properties.vaultUri)"
az keyvault secret set --vault-name "$kv1" --name ExamplePassword --value "$secret" --output none
is 'the secret' "$(az keyvault secret show --name ExamplePassword --vault-name "$kv1" --query value)" "$secret"
say "secret        $(az keyvault secret show --name ExamplePassword --vault-name "$kv1" --query id)"

# An application with a certificate, and a user.
HOME=$work az ad sp create-for-rbac --name "app-$run" --create-cert \
  --query "join(' ', [appId, fileWithCertAndPrivateKey])" >"$work/made"
read -r app certificate <"$work/made"
graph=$(az cloud show --query endpoints.microsoftGraphResourceId)
user=user-$run@$(az rest --url "${graph%/}/v1.0/organization" --query 'value[0].verifiedDomains[0].name')
az ad user create --display-name User --user-principal-name "$user" --password "$password" --output none
az keyvault set-policy --name "$kv1" --object-id "$(az ad sp show --id "$app" --query id)" --output none \
  --secret-permissions get list --key-permissions get --certificate-permissions get
az keyvault set-policy --name "$kv1" --upn "$user" --certificate-permissions delete get list create purge --output none
say "policies      for $app and $user"

az keyvault update --name "$kv1" --resource-group "$rg" --enabled-for-disk-encryption true --output none
az keyvault update --name "$kv1" --resource-group "$rg" --enabled-for-deployment true --output none
az keyvault update --name "$kv1" --resource-group "$rg" --enabled-for-template-deployment true --output none
az keyvault update --name "$kv1" --enable-purge-protection true --output none
say "settings      $(az keyvault show --name "$kv1" --output json --query \
  'properties.[enabledForDiskEncryption, enabledForDeployment, enabledForTemplateDeployment, enablePurgeProtection]' | tr -d ' \n')"

become app
az login --service-principal --username "$app" --certificate "$certificate" --tenant "$AZURE_TENANT_ID" \
  --allow-no-subscriptions --output none
is 'what the application reads' \
  "$(az keyvault secret show --name ExamplePassword --vault-name "$kv1" --query value)" "$secret"
refused ForbiddenByPolicy az keyvault secret set --vault-name "$kv1" --name ExamplePassword --value other
say "sign-in       with a certificate: the secret is read, and not written"

become owner
az keyvault update --name "$kv1" --default-action Deny --output none
az keyvault network-rule add --name "$kv1" --ip-address 203.0.113.0/24 --output none
refused ForbiddenByFirewall az keyvault secret show --name ExamplePassword --vault-name "$kv1"
az keyvault network-rule add --name "$kv1" --ip-address 127.0.0.1 --output none
az keyvault secret show --name ExamplePassword --vault-name "$kv1" --output none
say "network       $(az keyvault network-rule list --name "$kv1" --query 'ipRules[].value' | xargs)"
az keyvault update --name "$kv1" --default-action Allow --output none

az keyvault key create --name myKEK --vault-name "$kv1" --kty RSA --size 4096 --output none
az keyvault key rotate --name myKEK --vault-name "$kv1" --output none
cat >"$work/rotation.json" <<END
{
  "lifetimeActions": [
    { "trigger": { "timeAfterCreate": "P90D" }, "action": { "type": "Rotate" } },
    { "trigger": { "timeBeforeExpiry": "P30D" }, "action": { "type": "Notify" } }
  ],
  "attributes": { "expiryTime": "P2Y" }
}
END
az keyvault key rotation-policy update --name myKEK --vault-name "$kv1" --value "$work/rotation.json" --output none
is 'the rotation policy' "$(az keyvault key rotation-policy show --name myKEK --vault-name "$kv1" --query expiresIn)" P2Y
az keyvault key backup --name myKEK --vault-name "$kv1" --file "$work/key.backup"
quiet az keyvault key delete --name myKEK --vault-name "$kv1"
az keyvault set-policy --name "$kv1" --object-id "$(az ad sp show --id "$AZURE_CLIENT_ID" --query id)" \
  --key-permissions all purge --output none
refused 'purge protection is enabled' az keyvault key purge --name myKEK --vault-name "$kv1"
say "key           made, rotated, backed up and deleted; its vault is protected from purging"

# The second vault goes by roles, which is az's default, and is not protected from purging.
az keyvault create --name "$kv2" --resource-group "$rg" --location eastus --output none
scope=$(az keyvault show --name "$kv2" --query id)
refused ForbiddenByRbac az keyvault secret set --vault-name "$kv2" --name ExamplePassword --value "$secret"
az role assignment create --role "Key Vault Administrator" --assignee "$AZURE_CLIENT_ID" --scope "$scope" --output none
az keyvault secret set --vault-name "$kv2" --name ExamplePassword --value "$secret" --output none
az keyvault key restore --vault-name "$kv2" --file "$work/key.backup" --output none
is 'restored versions' "$(az keyvault key list-versions --name myKEK --vault-name "$kv2" --query 'length(@)')" 2
quiet az keyvault key delete --name myKEK --vault-name "$kv2"
az keyvault key purge --name myKEK --vault-name "$kv2"
is 'deleted keys' "$(az keyvault key list-deleted --vault-name "$kv2" --query 'length(@)')" 0
say "key           restored into $kv2, deleted and purged there"

az role assignment create --role "Key Vault Secrets User" --assignee "$user" --scope "$scope" --output none
become user
az login --use-device-code --tenant "$AZURE_TENANT_ID" --allow-no-subscriptions --output none 2>&1 |
  while read -r line; do
    case $line in
      *'open the page '*)
        page=${line#*open the page }
        code=${line#*enter the code }
        sign_in_at "${page%% *}" "${code%% *}"
        ;;
      *) say "$line" >&2 ;;
    esac
  done
is 'who signed in' "$(az account show --query user.name)" "$user"
is 'what the user reads' "$(az keyvault secret show --name ExamplePassword --vault-name "$kv2" --query value)" "$secret"
refused ForbiddenByRbac az keyvault secret set --vault-name "$kv2" --name ExamplePassword --value other
refused ForbiddenByPolicy az keyvault secret show --name ExamplePassword --vault-name "$kv1"
say "sign-in       with a device code: the role lets the user read $kv2, and no secret of $kv1"

az keyvault certificate create --name web --vault-name "$kv1" --output none \
  --policy "$(az keyvault certificate get-default-policy --output json)"
az keyvault certificate download --name web --vault-name "$kv1" --file "$work/web.pem"
grep -q 'BEGIN CERTIFICATE' "$work/web.pem" || fail 'the certificate is no PEM'
refused ForbiddenByPolicy az keyvault certificate backup --name web --vault-name "$kv1" --file "$work/web.backup"
say "certificate   $(az keyvault certificate show --name web --vault-name "$kv1" --query id), made by the user"

# The address at which machines in Azure ask for tokens, which the drop-in proxy answers.
become machine
http_proxy=$HTTPS_PROXY az login --identity --allow-no-subscriptions --output none
refused ForbiddenByRbac env http_proxy="$HTTPS_PROXY" \
  az keyvault secret show --name ExamplePassword --vault-name "$kv2"
become owner
machine=$(az ad sp list --filter "displayName eq 'workload'" --query '[0].id')
az role assignment create --role "Key Vault Secrets User" --scope "$scope" --output none \
  --assignee-object-id "$machine" --assignee-principal-type ServicePrincipal
become machine
is 'what the machine reads' \
  "$(http_proxy=$HTTPS_PROXY az keyvault secret show --name ExamplePassword --vault-name "$kv2" --query value)" "$secret"
become owner
az role assignment delete --role "Key Vault Secrets User" --scope "$scope" --assignee "$machine"
become machine
refused ForbiddenByRbac env http_proxy="$HTTPS_PROXY" \
  az keyvault secret show --name ExamplePassword --vault-name "$kv2"
say "sign-in       as managed identity: let in by a role, and shut out when it is taken away"

become owner
quiet az keyvault delete --name "$kv1"
is 'the deleted vault' "$(az keyvault list-deleted --query "[?name=='$kv1'].name")" "$kv1"
az keyvault recover --name "$kv1" --output none
is 'the recovered secret' \
  "$(az keyvault secret show --name ExamplePassword --vault-name "$kv1" --query value)" "$secret"
quiet az keyvault delete --name "$kv1"
refused MethodNotAllowed az keyvault purge --name "$kv1"
quiet az keyvault delete --name "$kv2"
az keyvault purge --name "$kv2"
is "the free name" "$(az keyvault check-name --name "$kv2" --query nameAvailable | tr TF tf)" true
az group delete --name "$rg" --yes
is 'the group' "$(az group exists --name "$rg")" false
say "delete        $kv1 was recovered, and is protected from purging; $kv2 is purged"
