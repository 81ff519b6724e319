#!/bin/sh
# az's commands for user-assigned identities, as they are: one is made, changed, given a role and a federated credential,
# used for signing in, and deleted. Run through `exec`; ends with `done`.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export AZURE_CORE_OUTPUT=tsv AZURE_CORE_NO_COLOR=1 AZURE_CORE_ONLY_SHOW_ERRORS=1 AZURE_CONFIG_DIR="$work/az"

fail() {
  echo "FAILED: $*" >&2
  exit 1
}
is() { [ "$2" = "$3" ] || fail "$1 is $2, not $3"; }
# The command must be refused, for the reason that is given.
refused() {
  reason=$1
  shift
  if answer=$("$@" 2>&1); then fail "not refused: $*"; fi
  case $answer in *"$reason"*) ;; *) fail "refused, but not with $reason: $*: $answer" ;; esac
}

az login --service-principal --username "$AZURE_CLIENT_ID" --password "$AZURE_CLIENT_SECRET" \
  --tenant "$AZURE_TENANT_ID" --output none
az group create --name identities --location eastus --output none
set -- --resource-group identities

# The group's place is the identity's.
is "the new identity's place" "$(az identity create "$@" --name web --tags a=1 --query location)" eastus
principal=$(az identity show "$@" --name web --query principalId)
client=$(az identity show "$@" --name web --query clientId)
id=$(az identity show "$@" --name web --query id)
is "the tenant" "$(az identity show --ids "$id" --query tenantId)" "$AZURE_TENANT_ID"
az identity update "$@" --name web --tags b=2 --output none
is "the tag" "$(az identity show "$@" --name web --query tags.b)" 2
is "the client id after the change" "$(az identity show "$@" --name web --query clientId)" "$client"
is "the list of the group" "$(az identity list "$@" --query '[].name')" web
is "the list of the subscription" "$(az identity list --query "[?id=='$id'].name")" web
is "the list of resources" "$(az resource list "$@" --query '[].name')" web
is "the directory's name for it" "$(az ad sp show --id "$client" --query servicePrincipalType)" ManagedIdentity
az identity list-operations --output none

issuer=https://issuer.example
az identity federated-credential create "$@" --identity-name web --name pod --issuer "$issuer" --subject one \
  --audiences api://AzureADTokenExchange --output none
az identity federated-credential update "$@" --identity-name web --name pod --issuer "$issuer" --subject two \
  --audiences api://AzureADTokenExchange --output none
is "the subject" "$(az identity federated-credential show "$@" --identity-name web --name pod --query subject)" two
is "the credentials" "$(az identity federated-credential list "$@" --identity-name web --query '[].name')" pod
az identity federated-credential delete "$@" --identity-name web --name pod --yes
is "no credentials" "$(az identity federated-credential list "$@" --identity-name web --query '[].name')" ""

az keyvault secret set --vault-name dev --name of-web --value 'for web' --output none
vault=$(az keyvault show --name dev --query id)
az role assignment create --role 'Key Vault Secrets User' --assignee-object-id "$principal" \
  --assignee-principal-type ServicePrincipal --scope "$vault" --output none
(
  # Where az looks for the metadata service of a virtual machine, the proxy answers.
  export AZURE_CONFIG_DIR="$work/web" http_proxy="$HTTPS_PROXY"
  az login --identity --resource-id "$id" --allow-no-subscriptions --output none
  is "the secret" "$(az keyvault secret show --vault-name dev --name of-web --query value)" 'for web'
)

az identity delete "$@" --name web
az identity delete "$@" --name web
refused ResourceNotFound az identity show "$@" --name web
(
  export AZURE_CONFIG_DIR="$work/web" http_proxy="$HTTPS_PROXY"
  # The token that it has is good for nothing any more.
  refused 'Identity not found' az keyvault secret show --vault-name dev --name of-web --query value
)
az group delete --name identities --yes
echo done
