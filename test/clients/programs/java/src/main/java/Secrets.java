import com.azure.identity.DefaultAzureCredentialBuilder;
import com.azure.security.keyvault.secrets.SecretClient;
import com.azure.security.keyvault.secrets.SecretClientBuilder;

/** Ordinary Azure code in Java: sets, reads, lists, deletes, recovers and purges a secret. */
public final class Secrets {
    public static void main(String[] arguments) {
        SecretClient client = new SecretClientBuilder()
            .vaultUrl("https://dev.vault.azure.net")
            .credential(new DefaultAzureCredentialBuilder().build())
            .buildClient();
        String name = "by-java";
        client.setSecret(name, "from Java");
        expect(client.getSecret(name).getValue().equals("from Java"), "the value that was set is read");
        expect(client.listPropertiesOfSecrets().stream().anyMatch(secret -> secret.getName().equals(name)),
            "the secret is listed");
        client.beginDeleteSecret(name).waitForCompletion();
        client.beginRecoverDeletedSecret(name).waitForCompletion();
        client.beginDeleteSecret(name).waitForCompletion();
        client.purgeDeletedSecret(name);
        System.out.println("done");
        System.exit(0);
    }

    private static void expect(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError("not so: " + what);
        }
    }
}
