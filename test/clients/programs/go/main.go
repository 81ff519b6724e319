// Ordinary Azure code in Go: a round trip of secrets, of keys of each family, or of certificates.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

const vaultURL = "https://dev.vault.azure.net"

func main() {
	programs := map[string]func(context.Context, azcore.TokenCredential){
		"secrets": secrets, "keys": keys, "certificates": certificates,
	}
	expect(len(os.Args) == 2 && programs[os.Args[1]] != nil, "the argument is secrets, keys or certificates")
	credential, err := azidentity.NewDefaultAzureCredential(nil)
	check(err)
	programs[os.Args[1]](context.Background(), credential)
	fmt.Println("done")
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func expect(holds bool, what string) {
	if !holds {
		log.Fatal("not so: " + what)
	}
}
