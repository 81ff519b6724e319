import com.azure.core.credential.TokenCredential;
import com.azure.core.exception.HttpResponseException;
import com.azure.security.keyvault.keys.KeyClient;
import com.azure.security.keyvault.keys.KeyClientBuilder;
import com.azure.security.keyvault.keys.cryptography.CryptographyClient;
import com.azure.security.keyvault.keys.cryptography.models.DecryptParameters;
import com.azure.security.keyvault.keys.cryptography.models.EncryptParameters;
import com.azure.security.keyvault.keys.cryptography.models.EncryptResult;
import com.azure.security.keyvault.keys.cryptography.models.EncryptionAlgorithm;
import com.azure.security.keyvault.keys.cryptography.models.KeyWrapAlgorithm;
import com.azure.security.keyvault.keys.cryptography.models.SignatureAlgorithm;
import com.azure.security.keyvault.keys.models.CreateEcKeyOptions;
import com.azure.security.keyvault.keys.models.CreateOctKeyOptions;
import com.azure.security.keyvault.keys.models.CreateRsaKeyOptions;
import com.azure.security.keyvault.keys.models.JsonWebKey;
import com.azure.security.keyvault.keys.models.KeyCurveName;
import com.azure.security.keyvault.keys.models.KeyOperation;
import com.azure.security.keyvault.keys.models.KeyRotationLifetimeAction;
import com.azure.security.keyvault.keys.models.KeyRotationPolicy;
import com.azure.security.keyvault.keys.models.KeyRotationPolicyAction;
import com.azure.security.keyvault.keys.models.KeyType;
import com.azure.security.keyvault.keys.models.KeyVaultKey;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.MessageDigest;
import java.security.Signature;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * Makes, uses, takes in, rotates, backs up, deletes and recovers keys. The library does public operations by itself,
 * with Java's own cryptography, and leaves private ones to the vault.
 */
final class Keys {
    private static final byte[] TEXT = "what is kept".getBytes(StandardCharsets.UTF_8);

    private final TokenCredential credential;
    private final KeyClient client;

    Keys(TokenCredential credential) {
        this.credential = credential;
        client = new KeyClientBuilder().vaultUrl(Client.VAULT).credential(credential).buildClient();
    }

    void run() throws GeneralSecurityException {
        rsa("by-java-rsa");
        curves("by-java-ec");
        symmetric("by-java-oct");
        imported("by-java-imported");
        rotation("by-java-rotated");
        life("by-java-rotated");
        for (String name : List.of("by-java-rsa", "by-java-ec", "by-java-oct", "by-java-imported", "by-java-rotated")) {
            remove(name);
        }
    }

    private CryptographyClient cryptography(String name) {
        return client.getCryptographyClient(name);
    }

    private void rsa(String name) throws GeneralSecurityException {
        KeyVaultKey made = client.createRsaKey(new CreateRsaKeyOptions(name).setKeySize(2048).setTags(Map.of("a", "b")));
        Client.expect(made.getKey().getN().length == 256 && made.getKey().getD() == null, "the public key is shown");
        Client.expect(client.getKey(name).getProperties().getTags().equals(Map.of("a", "b")), "with its tags");
        CryptographyClient vault = cryptography(name);
        for (EncryptionAlgorithm algorithm : List.of(EncryptionAlgorithm.RSA_OAEP_256, EncryptionAlgorithm.RSA_OAEP)) {
            byte[] encrypted = vault.encrypt(algorithm, TEXT).getCipherText();
            same(vault.decrypt(algorithm, encrypted).getPlainText(), TEXT);
        }
        byte[] wrapped = vault.wrapKey(KeyWrapAlgorithm.RSA_OAEP_256, TEXT).getEncryptedKey();
        same(vault.unwrapKey(KeyWrapAlgorithm.RSA_OAEP_256, wrapped).getKey(), TEXT);
        signs(name, SignatureAlgorithm.PS256, "SHA-256");
        signs(name, SignatureAlgorithm.RS512, "SHA-512");
        refused(400, () -> vault.decrypt(EncryptionAlgorithm.RSA_OAEP_256, new byte[256]));
        refused(400, () -> client.createRsaKey(new CreateRsaKeyOptions(name).setKeySize(1024)));
    }

    private void curves(String name) throws GeneralSecurityException {
        List<KeyCurveName> curves = List.of(KeyCurveName.P_256, KeyCurveName.P_384, KeyCurveName.P_521, KeyCurveName.P_256K);
        List<SignatureAlgorithm> algorithms = List.of(
            SignatureAlgorithm.ES256, SignatureAlgorithm.ES384, SignatureAlgorithm.ES512, SignatureAlgorithm.ES256K);
        List<String> digests = List.of("SHA-256", "SHA-384", "SHA-512", "SHA-256");
        for (int index = 0; index < curves.size(); index += 1) {
            KeyCurveName curve = curves.get(index);
            KeyVaultKey made = client.createEcKey(
                new CreateEcKeyOptions(name).setCurveName(curve).setHardwareProtected(true));
            Client.expect(made.getKeyType().equals(KeyType.EC_HSM) && made.getKey().getCurveName().equals(curve),
                "the curve is shown");
            signs(name, algorithms.get(index), digests.get(index));
        }
    }

    private void symmetric(String name) {
        KeyVaultKey made = client.createOctKey(new CreateOctKeyOptions(name).setKeySize(256).setHardwareProtected(true));
        Client.expect(made.getKey().getK() == null, "the octets are not shown");
        CryptographyClient vault = cryptography(name);
        EncryptResult encrypted = vault.encrypt(
            EncryptParameters.createA256CbcPadParameters(TEXT, new byte[16]), null);
        same(vault.decrypt(DecryptParameters.createA256CbcPadParameters(
            encrypted.getCipherText(), encrypted.getIv()), null).getPlainText(), TEXT);
        byte[] wrapped = vault.wrapKey(KeyWrapAlgorithm.A256KW, new byte[32]).getEncryptedKey();
        same(vault.unwrapKey(KeyWrapAlgorithm.A256KW, wrapped).getKey(), new byte[32]);
        wrapped[0] ^= 1;
        refused(400, () -> vault.unwrapKey(KeyWrapAlgorithm.A256KW, wrapped));
    }

    private void imported(String name) throws GeneralSecurityException {
        KeyPairGenerator generator = KeyPairGenerator.getInstance("RSA");
        generator.initialize(2048);
        KeyPair pair = generator.generateKeyPair();
        client.importKey(name, JsonWebKey.fromRsa(pair).setKeyOps(List.of(KeyOperation.SIGN, KeyOperation.VERIFY)));
        Signature own = Signature.getInstance("SHA256withRSA");
        own.initSign(pair.getPrivate());
        own.update(TEXT);
        same(signs(name, SignatureAlgorithm.RS256, "SHA-256"), own.sign());
    }

    private void rotation(String name) {
        KeyVaultKey made = client.createEcKey(new CreateEcKeyOptions(name));
        client.updateKeyRotationPolicy(name, new KeyRotationPolicy().setExpiresIn("P90D").setLifetimeActions(List.of(
            new KeyRotationLifetimeAction(KeyRotationPolicyAction.ROTATE).setTimeAfterCreate("P60D"))));
        Client.expect(client.getKeyRotationPolicy(name).getExpiresIn().equals("P90D"), "the policy is set");
        KeyVaultKey rotated = client.rotateKey(name);
        Client.expect(!rotated.getId().equals(made.getId()) && rotated.getProperties().getExpiresOn() != null,
            "another version, with an expiry by the policy");
        Client.expect(client.listPropertiesOfKeyVersions(name).stream().count() == 2, "both versions are listed");
        // Without its operations, the library sends none, and takes them away.
        KeyOperation[] both = {KeyOperation.SIGN, KeyOperation.VERIFY};
        client.updateKeyProperties(rotated.getProperties().setEnabled(false), both);
        refused(403, () -> cryptography(name).sign(SignatureAlgorithm.ES256, new byte[32]));
        client.updateKeyProperties(rotated.getProperties().setEnabled(true), both);
    }

    private void life(String name) throws GeneralSecurityException {
        byte[] signature = signs(name, SignatureAlgorithm.ES256, "SHA-256");
        Client.expect(client.listPropertiesOfKeys().stream().anyMatch(key -> key.getName().equals(name)),
            "the key is listed");
        String id = client.getKey(name).getId();
        byte[] backup = client.backupKey(name);
        client.beginDeleteKey(name).waitForCompletion();
        refused(404, () -> client.getKey(name));
        refused(409, () -> client.createEcKey(new CreateEcKeyOptions(name)));
        client.beginRecoverDeletedKey(name).waitForCompletion();
        remove(name);
        Client.expect(client.restoreKeyBackup(backup).getId().equals(id), "the key is restored with its version");
        byte[] digest = MessageDigest.getInstance("SHA-256").digest(TEXT);
        Client.expect(cryptography(name).verify(SignatureAlgorithm.ES256, digest, signature).isValid(),
            "a signature of before is verified");
    }

    private byte[] signs(String name, SignatureAlgorithm algorithm, String hash) throws GeneralSecurityException {
        CryptographyClient vault = cryptography(name);
        byte[] digest = MessageDigest.getInstance(hash).digest(TEXT);
        byte[] signature = vault.sign(algorithm, digest).getSignature();
        Client.expect(vault.verify(algorithm, digest, signature).isValid(), "the signature is verified");
        byte[] altered = signature.clone();
        altered[altered.length - 1] ^= 1;
        Client.expect(!vault.verify(algorithm, digest, altered).isValid(), "an altered one is not");
        return signature;
    }

    private void remove(String name) {
        client.beginDeleteKey(name).waitForCompletion();
        client.purgeDeletedKey(name);
    }

    private static void same(byte[] found, byte[] expected) {
        Client.expect(Arrays.equals(found, expected), "the bytes come back");
    }

    private static void refused(int status, Runnable call) {
        try {
            call.run();
        } catch (HttpResponseException error) {
            Client.expect(error.getResponse().getStatusCode() == status, "it is refused with " + status);
            return;
        }
        throw new AssertionError("expected " + status);
    }
}
