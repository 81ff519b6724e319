import com.azure.core.credential.TokenCredential;
import com.azure.identity.DefaultAzureCredentialBuilder;

/** Ordinary Azure code in Java: a round trip of secrets, of keys of each family, or of certificates. */
public final class Client {
    static final String VAULT = "https://dev.vault.azure.net";

    public static void main(String[] arguments) throws Exception {
        TokenCredential credential = new DefaultAzureCredentialBuilder().build();
        switch (String.join(" ", arguments)) {
            case "secrets" -> Secrets.run(credential);
            case "keys" -> new Keys(credential).run();
            case "certificates" -> new Certificates(credential).run();
            default -> throw new IllegalArgumentException("the argument is secrets, keys or certificates");
        }
        System.out.println("done");
        System.exit(0);
    }

    static void expect(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError("not so: " + what);
        }
    }
}
