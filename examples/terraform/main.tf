# Ordinary Terraform for Azure: a vault, the right to use it, an identity, a secret, a key and a certificate.
#
#   terraform -chdir=examples/terraform init
#   bin/strongroom exec -- terraform -chdir=examples/terraform apply
#
# A new vault takes two minutes, in which the provider asks again and again whether it is really there.

terraform {
  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = "~> 5.0"
    }
  }
}

provider "azurerm" {
  features {}
}

data "azurerm_client_config" "current" {}

resource "azurerm_resource_group" "example" {
  name     = "terraform-example"
  location = "westeurope"
}

resource "azurerm_key_vault" "example" {
  name                       = "terraform-example"
  location                   = azurerm_resource_group.example.location
  resource_group_name        = azurerm_resource_group.example.name
  tenant_id                  = data.azurerm_client_config.current.tenant_id
  sku_name                   = "standard"
  rbac_authorization_enabled = true
}

# Who owns a vault may not yet read or write what is in it.
resource "azurerm_role_assignment" "administrator" {
  scope                = azurerm_key_vault.example.id
  role_definition_name = "Key Vault Administrator"
  principal_id         = data.azurerm_client_config.current.object_id
}

# A managed identity, for a program to read secrets with.
resource "azurerm_user_assigned_identity" "program" {
  name                = "terraform-example"
  location            = azurerm_resource_group.example.location
  resource_group_name = azurerm_resource_group.example.name
}

resource "azurerm_role_assignment" "program" {
  scope                = azurerm_key_vault.example.id
  role_definition_name = "Key Vault Secrets User"
  principal_id         = azurerm_user_assigned_identity.program.principal_id
  principal_type       = "ServicePrincipal"
}

resource "azurerm_key_vault_secret" "password" {
  name            = "database-password"
  value           = "correct horse battery staple"
  content_type    = "text/plain"
  expiration_date = "2036-01-01T00:00:00Z"
  key_vault_id    = azurerm_key_vault.example.id
  depends_on      = [azurerm_role_assignment.administrator]
}

resource "azurerm_key_vault_key" "wrapping" {
  name         = "wrapping"
  key_type     = "RSA"
  key_size     = 3072
  key_opts     = ["wrapKey", "unwrapKey"]
  key_vault_id = azurerm_key_vault.example.id

  rotation_policy {
    expire_after         = "P1Y"
    notify_before_expiry = "P30D"
    automatic {
      time_before_expiry = "P60D"
    }
  }

  depends_on = [azurerm_role_assignment.administrator]
}

resource "azurerm_key_vault_certificate" "web" {
  name         = "web"
  key_vault_id = azurerm_key_vault.example.id

  certificate_policy {
    issuer_parameters {
      name = "Self"
    }
    key_properties {
      key_type   = "RSA"
      key_size   = 2048
      exportable = true
      reuse_key  = false
    }
    secret_properties {
      content_type = "application/x-pkcs12"
    }
    x509_certificate_properties {
      subject            = "CN=web.example.com"
      key_usage          = ["digitalSignature", "keyEncipherment"]
      extended_key_usage = ["1.3.6.1.5.5.7.3.1"]
      validity_in_months = 12
      subject_alternative_names {
        dns_names = ["web.example.com"]
      }
    }
    lifetime_action {
      action {
        action_type = "AutoRenew"
      }
      trigger {
        days_before_expiry = 30
      }
    }
  }

  depends_on = [azurerm_role_assignment.administrator]
}

# What a server needs: the certificate's key and chain, in PEM.
data "azurerm_key_vault_certificate_data" "web" {
  name         = azurerm_key_vault_certificate.web.name
  key_vault_id = azurerm_key_vault.example.id
}

output "vault" {
  value = azurerm_key_vault.example.vault_uri
}

output "secret" {
  value = azurerm_key_vault_secret.password.versionless_id
}

output "key" {
  value = azurerm_key_vault_key.wrapping.public_key_pem
}

output "certificate" {
  value = data.azurerm_key_vault_certificate_data.web.pem
}
