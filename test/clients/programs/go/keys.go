package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"math/big"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
)

// vault is the client and what every call of it takes.
type vault struct {
	*azkeys.Client
	ctx context.Context
}

// keys makes, uses, rotates, backs up, deletes and recovers keys. Go's own cryptography has the other half of each.
func keys(ctx context.Context, credential azcore.TokenCredential) {
	client, err := azkeys.NewClient(vaultURL, credential, nil)
	check(err)
	v := vault{client, ctx}
	v.rsa("by-go-rsa")
	v.curves("by-go-ec")
	v.symmetric("by-go-oct")
	v.imported("by-go-imported")
	v.rotation("by-go-rotated")
	v.life("by-go-rotated")
	for _, name := range []string{"by-go-rsa", "by-go-ec", "by-go-oct", "by-go-imported", "by-go-rotated"} {
		v.remove(name)
	}
}

func (v vault) create(name string, parameters azkeys.CreateKeyParameters) azkeys.KeyBundle {
	made, err := v.CreateKey(v.ctx, name, parameters, nil)
	check(err)
	return made.KeyBundle
}

func (v vault) rsa(name string) {
	made := v.create(name, azkeys.CreateKeyParameters{Kty: to.Ptr(azkeys.KeyTypeRSA), KeySize: to.Ptr(int32(2048))})
	expect(made.Key.KID.Name() == name && made.Key.D == nil, "the public key is shown")
	public := &rsa.PublicKey{N: new(big.Int).SetBytes(made.Key.N), E: int(new(big.Int).SetBytes(made.Key.E).Int64())}

	text := []byte("what is kept")
	encrypted, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public, text, nil)
	check(err)
	parameters := azkeys.KeyOperationParameters{Algorithm: to.Ptr(azkeys.EncryptionAlgorithmRSAOAEP256), Value: encrypted}
	decrypted, err := v.Decrypt(v.ctx, name, "", parameters, nil)
	check(err)
	expect(bytes.Equal(decrypted.Result, text), "what Go encrypts is decrypted")
	unwrapped, err := v.UnwrapKey(v.ctx, name, "", parameters, nil)
	check(err)
	expect(bytes.Equal(unwrapped.Result, text), "and unwrapped")
	parameters.Value = text
	wrapped, err := v.WrapKey(v.ctx, name, "", parameters, nil)
	check(err)
	parameters.Value = wrapped.Result
	decrypted, err = v.Decrypt(v.ctx, name, "", parameters, nil)
	check(err)
	expect(bytes.Equal(decrypted.Result, text), "what the vault wraps is decrypted")

	digest := sha256.Sum256(text)
	signature := v.signs(name, azkeys.SignatureAlgorithmPS256, digest[:])
	check(rsa.VerifyPSS(public, crypto.SHA256, digest[:], signature, nil))
	signature = v.signs(name, azkeys.SignatureAlgorithmRS256, digest[:])
	check(rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature))

	parameters.Value = append([]byte{}, encrypted...)
	parameters.Value[100] ^= 1
	_, err = v.Decrypt(v.ctx, name, "", parameters, nil)
	refused(err, 400)
	_, err = v.CreateKey(v.ctx, name, azkeys.CreateKeyParameters{Kty: to.Ptr(azkeys.KeyTypeRSA), KeySize: to.Ptr(int32(1024))}, nil)
	refused(err, 400)
}

// signs has the vault sign and verify, and not verify what was altered.
func (v vault) signs(name string, algorithm azkeys.SignatureAlgorithm, digest []byte) []byte {
	signed, err := v.Sign(v.ctx, name, "", azkeys.SignParameters{Algorithm: &algorithm, Value: digest}, nil)
	check(err)
	expect(v.verifies(name, "", algorithm, digest, signed.Result), "the signature is verified")
	altered := append([]byte{}, signed.Result...)
	altered[len(altered)-1] ^= 1
	expect(!v.verifies(name, "", algorithm, digest, altered), "an altered one is not")
	return signed.Result
}

func (v vault) verifies(name, version string, algorithm azkeys.SignatureAlgorithm, digest, signature []byte) bool {
	parameters := azkeys.VerifyParameters{Algorithm: &algorithm, Digest: digest, Signature: signature}
	verified, err := v.Verify(v.ctx, name, version, parameters, nil)
	check(err)
	return *verified.Value
}

func (v vault) curves(name string) {
	text := []byte("what is signed")
	digest256, digest384, digest512 := sha256.Sum256(text), sha512.Sum384(text), sha512.Sum512(text)
	for _, each := range []struct {
		name      azkeys.CurveName
		algorithm azkeys.SignatureAlgorithm
		digest    []byte
		curve     elliptic.Curve
	}{
		{azkeys.CurveNameP256, azkeys.SignatureAlgorithmES256, digest256[:], elliptic.P256()},
		{azkeys.CurveNameP384, azkeys.SignatureAlgorithmES384, digest384[:], elliptic.P384()},
		{azkeys.CurveNameP521, azkeys.SignatureAlgorithmES512, digest512[:], elliptic.P521()},
		// Go has no secp256k1.
		{azkeys.CurveNameP256K, azkeys.SignatureAlgorithmES256K, digest256[:], nil},
	} {
		made := v.create(name, azkeys.CreateKeyParameters{Kty: to.Ptr(azkeys.KeyTypeECHSM), Curve: &each.name})
		expect(*made.Key.Kty == azkeys.KeyTypeECHSM && *made.Key.Crv == each.name, "the curve is shown")
		signature := v.signs(name, each.algorithm, each.digest)
		if each.curve == nil {
			continue
		}
		x, y := new(big.Int).SetBytes(made.Key.X), new(big.Int).SetBytes(made.Key.Y)
		half := len(signature) / 2
		r, s := new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:])
		public := &ecdsa.PublicKey{Curve: each.curve, X: x, Y: y}
		expect(ecdsa.Verify(public, each.digest, r, s), "the signature is verified by Go")
	}
}

func (v vault) symmetric(name string) {
	made := v.create(name, azkeys.CreateKeyParameters{Kty: to.Ptr(azkeys.KeyTypeOctHSM), KeySize: to.Ptr(int32(256))})
	expect(made.Key.K == nil, "the octets are not shown")
	text := []byte("what is kept")
	parameters := azkeys.KeyOperationParameters{
		Algorithm:                   to.Ptr(azkeys.EncryptionAlgorithmA256GCM),
		Value:                       text,
		AdditionalAuthenticatedData: []byte("context"),
	}
	encrypted, err := v.Encrypt(v.ctx, name, "", parameters, nil)
	check(err)
	parameters.Value, parameters.IV, parameters.AuthenticationTag = encrypted.Result, encrypted.IV, encrypted.AuthenticationTag
	decrypted, err := v.Decrypt(v.ctx, name, "", parameters, nil)
	check(err)
	expect(bytes.Equal(decrypted.Result, text), "what is encrypted is decrypted")
	parameters.AdditionalAuthenticatedData = []byte("another")
	_, err = v.Decrypt(v.ctx, name, "", parameters, nil)
	refused(err, 400)

	wrapping := azkeys.KeyOperationParameters{Algorithm: to.Ptr(azkeys.EncryptionAlgorithmA256KW), Value: make([]byte, 32)}
	wrapped, err := v.WrapKey(v.ctx, name, "", wrapping, nil)
	check(err)
	expect(len(wrapped.Result) == 40, "a wrapped key is eight bytes longer")
	wrapping.Value = wrapped.Result
	unwrapped, err := v.UnwrapKey(v.ctx, name, "", wrapping, nil)
	check(err)
	expect(bytes.Equal(unwrapped.Result, make([]byte, 32)), "what is wrapped is unwrapped")
}

func (v vault) imported(name string) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	check(err)
	key := &azkeys.JSONWebKey{
		Kty: to.Ptr(azkeys.KeyTypeRSA),
		N:   private.N.Bytes(), E: big.NewInt(int64(private.E)).Bytes(), D: private.D.Bytes(),
		P: private.Primes[0].Bytes(), Q: private.Primes[1].Bytes(),
		DP: private.Precomputed.Dp.Bytes(), DQ: private.Precomputed.Dq.Bytes(), QI: private.Precomputed.Qinv.Bytes(),
	}
	_, err = v.ImportKey(v.ctx, name, azkeys.ImportKeyParameters{Key: key}, nil)
	check(err)
	digest := sha256.Sum256([]byte("what is signed"))
	signature := v.signs(name, azkeys.SignatureAlgorithmRS256, digest[:])
	own, err := rsa.SignPKCS1v15(nil, private, crypto.SHA256, digest[:])
	check(err)
	expect(bytes.Equal(signature, own), "the vault signs as the key does here")
}

func (v vault) rotation(name string) {
	made := v.create(name, azkeys.CreateKeyParameters{Kty: to.Ptr(azkeys.KeyTypeEC), Tags: map[string]*string{"a": to.Ptr("b")}})
	unset, err := v.GetKeyRotationPolicy(v.ctx, name, nil)
	check(err)
	expect(len(unset.LifetimeActions) == 1 && unset.Attributes == nil, "a policy that was never set has one action")
	policy := azkeys.KeyRotationPolicy{
		Attributes: &azkeys.KeyRotationPolicyAttributes{ExpiryTime: to.Ptr("P90D")},
		LifetimeActions: []*azkeys.LifetimeAction{{
			Action:  &azkeys.LifetimeActionType{Type: to.Ptr(azkeys.KeyRotationPolicyActionRotate)},
			Trigger: &azkeys.LifetimeActionTrigger{TimeAfterCreate: to.Ptr("P60D")},
		}},
	}
	set, err := v.UpdateKeyRotationPolicy(v.ctx, name, policy, nil)
	check(err)
	expect(*set.Attributes.ExpiryTime == "P90D", "the policy is set")
	rotated, err := v.RotateKey(v.ctx, name, nil)
	check(err)
	expect(rotated.Key.KID.Version() != made.Key.KID.Version(), "another version")
	expect(*rotated.Tags["a"] == "b" && rotated.Attributes.Expires != nil, "with the tags, and an expiry by the policy")
	versions := 0
	pages := v.NewListKeyPropertiesVersionsPager(name, nil)
	for pages.More() {
		page, err := pages.NextPage(v.ctx)
		check(err)
		versions += len(page.Value)
	}
	expect(versions == 2, "both versions are listed")
	update := azkeys.UpdateKeyParameters{KeyAttributes: &azkeys.KeyAttributes{Enabled: to.Ptr(false)}}
	_, err = v.UpdateKey(v.ctx, name, "", update, nil)
	check(err)
	_, err = v.Sign(v.ctx, name, "", azkeys.SignParameters{Algorithm: to.Ptr(azkeys.SignatureAlgorithmES256), Value: make([]byte, 32)}, nil)
	refused(err, 403)
	update.KeyAttributes.Enabled = to.Ptr(true)
	_, err = v.UpdateKey(v.ctx, name, "", update, nil)
	check(err)
}

func (v vault) life(name string) {
	digest := sha256.Sum256([]byte("what is signed"))
	signature := v.signs(name, azkeys.SignatureAlgorithmES256, digest[:])
	before, err := v.GetKey(v.ctx, name, "", nil)
	check(err)
	listed := false
	pages := v.NewListKeyPropertiesPager(nil)
	for pages.More() {
		page, err := pages.NextPage(v.ctx)
		check(err)
		for _, key := range page.Value {
			listed = listed || key.KID.Name() == name
		}
	}
	expect(listed, "the key is listed")
	backup, err := v.BackupKey(v.ctx, name, nil)
	check(err)
	_, err = v.DeleteKey(v.ctx, name, nil)
	check(err)
	_, err = v.GetKey(v.ctx, name, "", nil)
	refused(err, 404)
	deleted, err := v.GetDeletedKey(v.ctx, name, nil)
	check(err)
	expect(*deleted.RecoveryID == vaultURL+"/deletedkeys/"+name, "the deleted key is shown")
	_, err = v.RecoverDeletedKey(v.ctx, name, nil)
	check(err)
	v.remove(name)
	restored, err := v.RestoreKey(v.ctx, azkeys.RestoreKeyParameters{KeyBackup: backup.Value}, nil)
	check(err)
	expect(*restored.Key.KID == *before.Key.KID, "the key is restored with its version")
	expect(v.verifies(name, "", azkeys.SignatureAlgorithmES256, digest[:], signature), "a signature of before is verified")
}

func (v vault) remove(name string) {
	_, err := v.DeleteKey(v.ctx, name, nil)
	check(err)
	_, err = v.PurgeDeletedKey(v.ctx, name, nil)
	check(err)
}

func refused(err error, status int) {
	var response *azcore.ResponseError
	expect(errors.As(err, &response) && response.StatusCode == status, "it is refused")
}
