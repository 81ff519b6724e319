import com.azure.core.credential.TokenCredential;
import com.azure.core.exception.HttpResponseException;
import com.azure.security.keyvault.certificates.CertificateClient;
import com.azure.security.keyvault.certificates.CertificateClientBuilder;
import com.azure.security.keyvault.certificates.models.AdministratorContact;
import com.azure.security.keyvault.certificates.models.CertificateContact;
import com.azure.security.keyvault.certificates.models.CertificateIssuer;
import com.azure.security.keyvault.certificates.models.CertificateKeyCurveName;
import com.azure.security.keyvault.certificates.models.CertificateKeyType;
import com.azure.security.keyvault.certificates.models.CertificateKeyUsage;
import com.azure.security.keyvault.certificates.models.CertificateOperation;
import com.azure.security.keyvault.certificates.models.CertificatePolicy;
import com.azure.security.keyvault.certificates.models.CertificatePolicyAction;
import com.azure.security.keyvault.certificates.models.ImportCertificateOptions;
import com.azure.security.keyvault.certificates.models.KeyVaultCertificate;
import com.azure.security.keyvault.certificates.models.KeyVaultCertificateWithPolicy;
import com.azure.security.keyvault.certificates.models.LifetimeAction;
import com.azure.security.keyvault.certificates.models.MergeCertificateOptions;
import com.azure.security.keyvault.certificates.models.SubjectAlternativeNames;
import com.azure.security.keyvault.secrets.SecretClient;
import com.azure.security.keyvault.secrets.SecretClientBuilder;
import java.io.ByteArrayInputStream;
import java.net.InetAddress;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

/** Makes certificates, serves TLS with them from a PKCS#12 key store, brings them along, deletes and recovers them. */
final class Certificates {
    private final CertificateClient client;
    private final SecretClient secrets;

    Certificates(TokenCredential credential) {
        client = new CertificateClientBuilder().vaultUrl(Client.VAULT).credential(credential).buildClient();
        secrets = new SecretClientBuilder().vaultUrl(Client.VAULT).credential(credential).buildClient();
    }

    void run() throws Exception {
        selfSigned("by-java-own");
        life("by-java-own");
        imported("by-java-own", "by-java-brought");
        pending("by-java-pending");
        issuersAndContacts("by-java-issuer");
        for (String name : List.of("by-java-own", "by-java-brought", "by-java-pending")) {
            remove(name);
        }
    }

    private void selfSigned(String name) throws Exception {
        List<CertificateKeyType> types = List.of(CertificateKeyType.RSA, CertificateKeyType.EC);
        for (CertificateKeyType type : types) {
            CertificatePolicy policy = new CertificatePolicy("Self", "CN=localhost, O=Example",
                new SubjectAlternativeNames().setDnsNames(List.of("localhost")).setEmails(List.of("a@example.com")))
                .setKeyType(type)
                .setExportable(true)
                .setKeyUsage(CertificateKeyUsage.DIGITAL_SIGNATURE, CertificateKeyUsage.KEY_ENCIPHERMENT)
                .setValidityInMonths(6)
                .setLifetimeActions(new LifetimeAction(CertificatePolicyAction.AUTO_RENEW).setLifetimePercentage(70));
            if (type.equals(CertificateKeyType.EC)) {
                policy.setKeyCurveName(CertificateKeyCurveName.P_256);
            } else {
                policy.setKeySize(2048);
            }
            KeyVaultCertificateWithPolicy made =
                client.beginCreateCertificate(name, policy, true, Map.of("a", "b")).getFinalResult();
            X509Certificate certificate = parsed(made);
            certificate.verify(certificate.getPublicKey());
            Client.expect(certificate.getSubjectX500Principal().getName().equals("CN=localhost,O=Example"),
                "the subject is as asked for");
            Client.expect(certificate.getSubjectAlternativeNames().size() == 2, "and the other names");
            boolean[] usage = certificate.getKeyUsage();
            Client.expect(usage[0] && usage[2] && !usage[5], "and the usages");
            Client.expect(made.getProperties().getTags().equals(Map.of("a", "b")), "and the tags");
            serves(name, certificate);
        }
    }

    /** The secret is a PKCS#12 key store with an empty password. */
    private void serves(String name, X509Certificate root) throws Exception {
        byte[] pfx = Base64.getDecoder().decode(secrets.getSecret(name).getValue());
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(new ByteArrayInputStream(pfx), new char[0]);
        String alias = store.aliases().nextElement();
        Client.expect(store.isKeyEntry(alias) && store.size() == 1, "the key is in it, and nothing else");
        Client.expect(store.getCertificate(alias).equals(parsed(client.getCertificate(name))), "with its certificate");
        KeyManagerFactory keyManagers = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keyManagers.init(store, new char[0]);
        SSLContext serving = SSLContext.getInstance("TLS");
        serving.init(keyManagers.getKeyManagers(), null, null);
        KeyStore roots = KeyStore.getInstance("PKCS12");
        roots.load(null, null);
        roots.setCertificateEntry("root", root);
        TrustManagerFactory trustManagers = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trustManagers.init(roots);
        SSLContext asking = SSLContext.getInstance("TLS");
        asking.init(null, trustManagers.getTrustManagers(), null);
        InetAddress here = InetAddress.getByAddress("localhost", new byte[] {127, 0, 0, 1});
        try (SSLServerSocket listener =
                (SSLServerSocket) serving.getServerSocketFactory().createServerSocket(0, 1, here)) {
            Thread server = new Thread(() -> {
                try (SSLSocket socket = (SSLSocket) listener.accept()) {
                    socket.getOutputStream().write(42);
                } catch (java.io.IOException error) {
                    throw new java.io.UncheckedIOException(error);
                }
            });
            server.start();
            try (SSLSocket socket =
                    (SSLSocket) asking.getSocketFactory().createSocket(here, listener.getLocalPort())) {
                SSLParameters parameters = socket.getSSLParameters();
                parameters.setEndpointIdentificationAlgorithm("HTTPS");
                socket.setSSLParameters(parameters);
                Client.expect(socket.getInputStream().read() == 42, "TLS goes through");
            }
            server.join();
        }
    }

    private void life(String name) throws Exception {
        KeyVaultCertificateWithPolicy before = client.getCertificate(name);
        Client.expect(client.listPropertiesOfCertificateVersions(name).stream().count() == 2, "both versions are listed");
        Client.expect(client.listPropertiesOfCertificates().stream().anyMatch(each -> each.getName().equals(name)),
            "the certificate is listed");
        client.updateCertificateProperties(before.getProperties().setEnabled(false).setTags(Map.of("c", "d")));
        Client.expect(!client.getCertificate(name).getProperties().isEnabled(), "the certificate is disabled");
        refused(403, () -> secrets.getSecret(name));
        client.updateCertificateProperties(before.getProperties().setEnabled(true));
        CertificatePolicy policy = client.getCertificatePolicy(name).setValidityInMonths(9);
        Client.expect(client.updateCertificatePolicy(name, policy).getValidityInMonths() == 9, "the policy is changed");

        byte[] backup = client.backupCertificate(name);
        client.beginDeleteCertificate(name).waitForCompletion();
        refused(404, () -> client.getCertificate(name));
        Client.expect(client.listDeletedCertificates().stream().anyMatch(each -> each.getName().equals(name)),
            "the deleted certificate is listed");
        client.beginRecoverDeletedCertificate(name).waitForCompletion();
        remove(name);
        Client.expect(client.restoreCertificateBackup(backup).getId().equals(before.getId()),
            "the certificate is restored with its version");
        serves(name, parsed(before));
    }

    private void imported(String from, String name) throws Exception {
        byte[] pfx = Base64.getDecoder().decode(secrets.getSecret(from).getValue());
        char[] password = "letmein".toCharArray();
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(new ByteArrayInputStream(pfx), new char[0]);
        String alias = store.aliases().nextElement();
        KeyStore again = KeyStore.getInstance("PKCS12");
        again.load(null, null);
        again.setKeyEntry(alias, store.getKey(alias, new char[0]), password, store.getCertificateChain(alias));
        java.io.ByteArrayOutputStream bytes = new java.io.ByteArrayOutputStream();
        again.store(bytes, password);
        refused(400, () -> client.importCertificate(
            new ImportCertificateOptions(name, bytes.toByteArray()).setPassword("wrong")));
        KeyVaultCertificateWithPolicy brought = client.importCertificate(
            new ImportCertificateOptions(name, bytes.toByteArray()).setPassword("letmein"));
        Client.expect(parsed(brought).equals(parsed(client.getCertificate(from))), "what is brought along is the same");
        serves(name, parsed(brought));
    }

    private void pending(String name) throws Exception {
        CertificatePolicy policy = new CertificatePolicy("Unknown", "CN=pending.example.com");
        CertificateOperation operation = client.beginCreateCertificate(name, policy).poll().getValue();
        Client.expect(operation.getStatus().equals("inProgress") && operation.getCsr().length > 0, "a request is made");
        byte[] foreign = client.getCertificate("by-java-own").getCer();
        refused(400, () -> client.mergeCertificate(new MergeCertificateOptions(name, List.of(foreign))));
        refused(409, () -> client.importCertificate(new ImportCertificateOptions(name,
            Base64.getDecoder().decode(secrets.getSecret("by-java-own").getValue()))));
        Client.expect(client.cancelCertificateOperation(name).getStatus().equals("cancelled"), "it is cancelled");
        client.deleteCertificateOperation(name);
        refused(404, () -> client.deleteCertificateOperation(name));
    }

    private void issuersAndContacts(String name) {
        client.createIssuer(new CertificateIssuer(name, "DigiCert").setAccountId("1234").setPassword("not shown")
            .setOrganizationId("5678")
            .setAdministratorContacts(List.of(new AdministratorContact().setEmail("boss@example.com"))));
        CertificateIssuer issuer = client.getIssuer(name);
        Client.expect(issuer.getAccountId().equals("1234") && issuer.getPassword() == null, "the issuer is shown");
        client.updateIssuer(issuer.setAccountId("4321").setEnabled(false));
        issuer = client.getIssuer(name);
        Client.expect(issuer.getAccountId().equals("4321") && !issuer.isEnabled(), "the issuer is changed");
        Client.expect(client.listPropertiesOfIssuers().stream().anyMatch(each -> each.getName().equals(name)),
            "the issuer is listed");
        client.deleteIssuer(name);
        refused(404, () -> client.getIssuer(name));
        List<CertificateContact> contacts = List.of(new CertificateContact().setEmail("one@example.com").setName("One"));
        client.setContacts(contacts).stream().count();
        Client.expect(client.listContacts().stream().allMatch(each -> each.getEmail().equals("one@example.com")),
            "the contact is shown");
        client.deleteContacts().stream().count();
        refused(404, () -> client.listContacts().stream().count());
    }

    private static X509Certificate parsed(KeyVaultCertificate certificate) throws Exception {
        return (X509Certificate) CertificateFactory.getInstance("X.509")
            .generateCertificate(new ByteArrayInputStream(certificate.getCer()));
    }

    private void remove(String name) {
        client.beginDeleteCertificate(name).waitForCompletion();
        client.purgeDeletedCertificate(name);
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
