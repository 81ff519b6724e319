import com.azure.core.credential.TokenCredential;
import com.azure.security.keyvault.secrets.SecretClient;
import com.azure.security.keyvault.secrets.SecretClientBuilder;

/** Sets, reads, lists, deletes, recovers and purges a secret. */
final class Secrets {
    static void run(TokenCredential credential) {
        SecretClient client = new SecretClientBuilder()
            .vaultUrl(Client.VAULT)
            .credential(credential)
            .buildClient();
        String name = "by-java";
        client.setSecret(name, "from Java");
        Client.expect(client.getSecret(name).getValue().equals("from Java"), "the value that was set is read");
        Client.expect(client.listPropertiesOfSecrets().stream().anyMatch(secret -> secret.getName().equals(name)),
            "the secret is listed");
        client.beginDeleteSecret(name).waitForCompletion();
        client.beginRecoverDeletedSecret(name).waitForCompletion();
        client.beginDeleteSecret(name).waitForCompletion();
        client.purgeDeletedSecret(name);
    }
}
