package main

import (
	"context"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
)

// secrets sets, reads, lists, deletes, recovers and purges a secret.
func secrets(ctx context.Context, credential azcore.TokenCredential) {
	client, err := azsecrets.NewClient(vaultURL, credential, nil)
	check(err)

	name, value := "by-go", "from Go"
	_, err = client.SetSecret(ctx, name, azsecrets.SetSecretParameters{Value: &value}, nil)
	check(err)
	found, err := client.GetSecret(ctx, name, "", nil)
	check(err)
	expect(*found.Value == value, "the value that was set is read")

	listed := false
	pages := client.NewListSecretPropertiesPager(nil)
	for pages.More() {
		page, err := pages.NextPage(ctx)
		check(err)
		for _, secret := range page.Value {
			listed = listed || secret.ID.Name() == name
		}
	}
	expect(listed, "the secret is listed")

	_, err = client.DeleteSecret(ctx, name, nil)
	check(err)
	_, err = client.RecoverDeletedSecret(ctx, name, nil)
	check(err)
	_, err = client.DeleteSecret(ctx, name, nil)
	check(err)
	_, err = client.PurgeDeletedSecret(ctx, name, nil)
	check(err)
}
