package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azcertificates"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
)

// store is the client of certificates, that of their secrets, and what every call of them takes.
type store struct {
	*azcertificates.Client
	secrets *azsecrets.Client
	ctx     context.Context
}

// certificates makes certificates, has one signed elsewhere, brings one along, and serves TLS with each.
func certificates(ctx context.Context, credential azcore.TokenCredential) {
	client, err := azcertificates.NewClient(vaultURL, credential, nil)
	check(err)
	secrets, err := azsecrets.NewClient(vaultURL, credential, nil)
	check(err)
	s := store{client, secrets, ctx}
	s.selfSigned("by-go-own")
	s.life("by-go-own")
	s.readBySDK("by-go-pfx")
	s.signedElsewhere("by-go-merged")
	s.issuersAndContacts("by-go-issuer")
	for _, name := range []string{"by-go-own", "by-go-pfx", "by-go-merged", "by-go-brought"} {
		s.remove(name)
	}
}

// tlsPolicy is that of a PEM certificate for localhost.
func tlsPolicy(issuer string) *azcertificates.CertificatePolicy {
	return &azcertificates.CertificatePolicy{
		IssuerParameters: &azcertificates.IssuerParameters{Name: &issuer},
		KeyProperties: &azcertificates.KeyProperties{
			KeyType: to.Ptr(azcertificates.KeyTypeEC), Curve: to.Ptr(azcertificates.CurveNameP256), Exportable: to.Ptr(true),
		},
		SecretProperties: &azcertificates.SecretProperties{ContentType: to.Ptr("application/x-pem-file")},
		X509CertificateProperties: &azcertificates.X509CertificateProperties{
			Subject:          to.Ptr("CN=localhost"),
			KeyUsage:         []*azcertificates.KeyUsageType{to.Ptr(azcertificates.KeyUsageTypeDigitalSignature)},
			ValidityInMonths: to.Ptr(int32(3)),
			SubjectAlternativeNames: &azcertificates.SubjectAlternativeNames{
				DNSNames:    []*string{to.Ptr("localhost")},
				IPAddresses: []*string{to.Ptr("127.0.0.1")},
			},
		},
	}
}

func (s store) create(name, issuer string) azcertificates.CreateCertificateResponse {
	parameters := azcertificates.CreateCertificateParameters{CertificatePolicy: tlsPolicy(issuer)}
	made, err := s.CreateCertificate(s.ctx, name, parameters, nil)
	check(err)
	return made
}

func (s store) selfSigned(name string) {
	s.create(name, "Self")
	operation, err := s.GetCertificateOperation(s.ctx, name, nil)
	check(err)
	expect(*operation.Status == "completed", "it is made at once")
	found, err := s.GetCertificate(s.ctx, name, "", nil)
	check(err)
	certificate, err := x509.ParseCertificate(found.CER)
	check(err)
	expect(certificate.Subject.String() == "CN=localhost" && certificate.DNSNames[0] == "localhost", "the names are as asked for")
	expect(certificate.KeyUsage == x509.KeyUsageDigitalSignature && len(certificate.ExtKeyUsage) == 2, "and the usages")
	check(certificate.CheckSignature(certificate.SignatureAlgorithm, certificate.RawTBSCertificate, certificate.Signature))
	s.serves(name, certificate)
}

// serves has a TLS server take the certificate's secret, and a client that trusts only the root verify it.
func (s store) serves(name string, root *x509.Certificate) {
	secret, err := s.secrets.GetSecret(s.ctx, name, "", nil)
	check(err)
	expect(*secret.Managed && *secret.ContentType == "application/x-pem-file", "the secret is the certificate's")
	pair, err := tls.X509KeyPair([]byte(*secret.Value), []byte(*secret.Value))
	check(err)
	roots := x509.NewCertPool()
	roots.AddCert(root)
	here, there := net.Pipe()
	go func() {
		server := tls.Server(there, &tls.Config{Certificates: []tls.Certificate{pair}})
		check(server.Handshake())
		_, err := server.Write([]byte("served"))
		check(err)
	}()
	client := tls.Client(here, &tls.Config{RootCAs: roots, ServerName: "localhost"})
	answer := make([]byte, 6)
	_, err = client.Read(answer)
	check(err)
	expect(string(answer) == "served", "TLS goes through")
}

// readBySDK has Azure's own library take the key and the certificate out of the secret's PFX.
func (s store) readBySDK(name string) {
	policy := tlsPolicy("Self")
	policy.SecretProperties.ContentType = to.Ptr("application/x-pkcs12")
	// The library reads RSA keys only.
	policy.KeyProperties = &azcertificates.KeyProperties{
		KeyType: to.Ptr(azcertificates.KeyTypeRSA), KeySize: to.Ptr(int32(2048)), Exportable: to.Ptr(true),
	}
	_, err := s.CreateCertificate(s.ctx, name, azcertificates.CreateCertificateParameters{CertificatePolicy: policy}, nil)
	check(err)
	found, err := s.GetCertificate(s.ctx, name, "", nil)
	check(err)
	secret, err := s.secrets.GetSecret(s.ctx, name, "", nil)
	check(err)
	pfx, err := base64.StdEncoding.DecodeString(*secret.Value)
	check(err)
	chain, key, err := azidentity.ParseCertificates(pfx, nil)
	check(err)
	expect(len(chain) == 1 && bytes.Equal(chain[0].Raw, found.CER), "the certificate is in the PFX")
	private, ok := key.(*rsa.PrivateKey)
	expect(ok && private.PublicKey.Equal(chain[0].PublicKey), "and its key")
}

func (s store) life(name string) {
	before, err := s.GetCertificate(s.ctx, name, "", nil)
	check(err)
	s.create(name, "Self")
	versions := 0
	pages := s.NewListCertificatePropertiesVersionsPager(name, nil)
	for pages.More() {
		page, err := pages.NextPage(s.ctx)
		check(err)
		versions += len(page.Value)
	}
	expect(versions == 2, "both versions are listed")
	update := azcertificates.UpdateCertificateParameters{
		CertificateAttributes: &azcertificates.CertificateAttributes{Enabled: to.Ptr(false)},
		Tags:                  map[string]*string{"a": to.Ptr("b")},
	}
	changed, err := s.UpdateCertificate(s.ctx, name, before.ID.Version(), update, nil)
	check(err)
	expect(!*changed.Attributes.Enabled && *changed.Tags["a"] == "b", "the attributes are changed")
	policy := azcertificates.CertificatePolicy{LifetimeActions: []*azcertificates.LifetimeAction{{
		Action:  &azcertificates.LifetimeActionType{ActionType: to.Ptr(azcertificates.CertificatePolicyActionEmailContacts)},
		Trigger: &azcertificates.LifetimeActionTrigger{LifetimePercentage: to.Ptr(int32(50))},
	}}}
	renewed, err := s.UpdateCertificatePolicy(s.ctx, name, policy, nil)
	check(err)
	expect(*renewed.LifetimeActions[0].Trigger.LifetimePercentage == 50, "the policy is changed")
	expect(*renewed.X509CertificateProperties.Subject == "CN=localhost", "in this alone")

	listed := false
	all := s.NewListCertificatePropertiesPager(nil)
	for all.More() {
		page, err := all.NextPage(s.ctx)
		check(err)
		for _, certificate := range page.Value {
			listed = listed || certificate.ID.Name() == name
		}
	}
	expect(listed, "the certificate is listed")
	backup, err := s.BackupCertificate(s.ctx, name, nil)
	check(err)
	_, err = s.DeleteCertificate(s.ctx, name, nil)
	check(err)
	_, err = s.GetCertificate(s.ctx, name, "", nil)
	refused(err, 404)
	_, err = s.secrets.GetSecret(s.ctx, name, "", nil)
	refused(err, 404)
	deleted, err := s.GetDeletedCertificate(s.ctx, name, nil)
	check(err)
	expect(*deleted.RecoveryID == vaultURL+"/deletedcertificates/"+name, "the deleted certificate is shown")
	_, err = s.RecoverDeletedCertificate(s.ctx, name, nil)
	check(err)
	s.remove(name)
	restored, err := s.RestoreCertificate(s.ctx, azcertificates.RestoreCertificateParameters{CertificateBackup: backup.Value}, nil)
	check(err)
	root, err := x509.ParseCertificate(restored.CER)
	check(err)
	s.serves(name, root)
}

// signedElsewhere has Go's own authority sign the request, merges the chain, and brings it along under another name.
func (s store) signedElsewhere(name string) {
	made := s.create(name, "Unknown")
	expect(*made.Status == "inProgress", "it waits for its certificate")
	request, err := x509.ParseCertificateRequest(made.CSR)
	check(err)
	check(request.CheckSignature())

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Go CA"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	root := signed(template, template, key.Public(), key)
	leaf := signed(&x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: request.Subject, DNSNames: request.DNSNames,
		NotBefore: template.NotBefore, NotAfter: template.NotAfter,
	}, root, request.PublicKey, key)
	foreign := signed(&x509.Certificate{SerialNumber: big.NewInt(3), NotAfter: template.NotAfter}, root, key.Public(), key)
	_, err = s.MergeCertificate(s.ctx, name, azcertificates.MergeCertificateParameters{X509Certificates: [][]byte{foreign.Raw}}, nil)
	refused(err, 400)
	chain := azcertificates.MergeCertificateParameters{X509Certificates: [][]byte{leaf.Raw, root.Raw}}
	merged, err := s.MergeCertificate(s.ctx, name, chain, nil)
	check(err)
	expect(bytes.Equal(merged.CER, leaf.Raw), "it is the one that was signed")
	s.serves(name, root)

	secret, err := s.secrets.GetSecret(s.ctx, name, "", nil)
	check(err)
	block, rest := pem.Decode([]byte(*secret.Value))
	expect(block.Type == "PRIVATE KEY" && bytes.Count(rest, []byte("BEGIN CERTIFICATE")) == 2, "the key and the chain are in the secret")
	brought := azcertificates.ImportCertificateParameters{
		Base64EncodedCertificate: secret.Value,
		CertificatePolicy:        &azcertificates.CertificatePolicy{SecretProperties: &azcertificates.SecretProperties{ContentType: secret.ContentType}},
	}
	imported, err := s.ImportCertificate(s.ctx, "by-go-brought", brought, nil)
	check(err)
	expect(bytes.Equal(imported.CER, leaf.Raw), "what is brought along is the same")
	s.serves("by-go-brought", root)

	s.create(name, "Unknown")
	cancel := azcertificates.UpdateCertificateOperationParameter{CancellationRequested: to.Ptr(true)}
	cancelled, err := s.UpdateCertificateOperation(s.ctx, name, cancel, nil)
	check(err)
	expect(*cancelled.Status == "cancelled", "an operation is cancelled")
	_, err = s.DeleteCertificateOperation(s.ctx, name, nil)
	check(err)
	_, err = s.GetCertificateOperation(s.ctx, name, nil)
	refused(err, 404)
}

func signed(template, parent *x509.Certificate, public any, by *ecdsa.PrivateKey) *x509.Certificate {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, by)
	check(err)
	certificate, err := x509.ParseCertificate(der)
	check(err)
	return certificate
}

func (s store) issuersAndContacts(name string) {
	_, err := s.SetIssuer(s.ctx, name, azcertificates.SetIssuerParameters{
		Provider:    to.Ptr("GlobalSign"),
		Credentials: &azcertificates.IssuerCredentials{AccountID: to.Ptr("1234"), Password: to.Ptr("not shown")},
	}, nil)
	check(err)
	update := azcertificates.UpdateIssuerParameters{Attributes: &azcertificates.IssuerAttributes{Enabled: to.Ptr(false)}}
	updated, err := s.UpdateIssuer(s.ctx, name, update, nil)
	check(err)
	expect(!*updated.Attributes.Enabled && *updated.Credentials.AccountID == "1234" && updated.Credentials.Password == nil, "the issuer is changed")
	listed := false
	pages := s.NewListIssuerPropertiesPager(nil)
	for pages.More() {
		page, err := pages.NextPage(s.ctx)
		check(err)
		for _, issuer := range page.Value {
			listed = listed || *issuer.Provider == "GlobalSign"
		}
	}
	expect(listed, "the issuer is listed")
	_, err = s.DeleteIssuer(s.ctx, name, nil)
	check(err)
	_, err = s.GetIssuer(s.ctx, name, nil)
	refused(err, 404)

	contacts := azcertificates.Contacts{ContactList: []*azcertificates.Contact{{Email: to.Ptr("one@example.com")}}}
	_, err = s.SetContacts(s.ctx, contacts, nil)
	check(err)
	found, err := s.GetContacts(s.ctx, nil)
	check(err)
	expect(*found.ContactList[0].Email == "one@example.com", "the contact is shown")
	_, err = s.DeleteContacts(s.ctx, nil)
	check(err)
	_, err = s.GetContacts(s.ctx, nil)
	refused(err, 404)
}

func (s store) remove(name string) {
	_, err := s.DeleteCertificate(s.ctx, name, nil)
	check(err)
	_, err = s.PurgeDeletedCertificate(s.ctx, name, nil)
	check(err)
}
