/**
 * What an OpenSSL library must show before it gets a key: known answers of RFC 7515, results that `node:crypto` accepts,
 * and refusals of what is wrong. About 10 ms, all on this thread. The keys are the published examples of RFC 7515, so
 * that none has to be made, which for RSA takes 80 ms; they protect nothing.
 */
import { constants, createHash, createPrivateKey, createPublicKey, publicEncrypt, verify } from 'node:crypto';
import {
  findEncryptionAlgorithm,
  findSignatureAlgorithm,
  type HashName,
  type SignatureAlgorithm,
} from '../algorithms.ts';
import type { DecryptionAlgorithm } from './asymmetric.ts';
import type { Evp } from './evp.ts';
import { loadOpenSslKey, type OpenSslKey } from './openssl-key.ts';

/** RFC 7515 §A.2.1. */
const rsaJwk = {
  kty: 'RSA',
  n: 'ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ',
  e: 'AQAB',
  d: 'Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ',
  p: '4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw_Py5PJdTJNPY8cQn7ouZ2KKDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDwGUc',
  q: 'uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul7TjeLQeZD_YwD66t62wDmpe_HlB-TnBA-njbglfIsRLtXlnDzQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdc',
  dp: 'BwKfV3Akq5_MFZDFZCnW-wzl-CCo83WoZvnLQwCTeDv8uzluRSnm71I3QCLdhrqE2e9YkxvuxdBfpT_PI7Yz-FOKnu1R6HsJeDCjn12Sk3vmAktV2zb34MCdy7cpdTh_YVr7tss2u6vneTwrA86rZtu5Mbr1C1XsmvkxHQAdYo0',
  dq: 'h_96-mK1R_7glhsum81dZxjTnYynPbZpHziZjeeHcXYsXaaMwkOlODsWa7I9xXDoRwbKgB719rrmI2oKr6N3Do9U0ajaHF-NKJnwgjMd2w9cjz3_-kyNlxAr2v4IKhGNpmM5iIgOS1VZnOZ68m6_pbLBSp3nssTdlqvd0tIiTHU',
  qi: 'IYd7DHOhrWvxkwPQsRM2tOgrjbcrfvtQJipd-DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd_QJQ3ydy5cY7YIBi87w93IKLEdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp_gh6A5603k2-ZQwVK0JKSHuLFkuQ3U',
};
const payload =
  'eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ';
const rs256 = {
  input: `eyJhbGciOiJSUzI1NiJ9.${payload}`,
  signature:
    'cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw',
};

/** RFC 7515 §A.3.1. */
const ecJwk = {
  kty: 'EC',
  crv: 'P-256',
  x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
  y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
  d: 'jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI',
};
const es256 = {
  input: `eyJhbGciOiJFUzI1NiJ9.${payload}`,
  signature: 'DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q',
};

const secret = Buffer.from('what only the key may open');

/** Throws and says what failed; the library must not be used then. */
export function selfTest(evp: Evp): void {
  withKey(evp, rsaJwk, (key) => {
    testPkcs1Signature(key);
    testPssSignature(key);
    for (const hash of ['sha1', 'sha256'] as const) testOaep(key, hash);
    testPkcs1Decryption(key);
  });
  withKey(evp, ecJwk, testEcdsa);
}

function withKey(evp: Evp, jwk: typeof rsaJwk | typeof ecJwk, use: (key: OpenSslKey) => void): void {
  const pkcs8 = createPrivateKey({ key: jwk, format: 'jwk' }).export({ format: 'der', type: 'pkcs8' });
  const key = loadOpenSslKey(evp, pkcs8);
  try {
    use(key);
  } finally {
    key.free();
  }
}

function testPkcs1Signature(key: OpenSslKey): void {
  const algorithm = signatureRow('RS256');
  const known = Buffer.from(rs256.signature, 'base64url');
  const digest = sha256(rs256.input);
  must(known.equals(key.sign(algorithm, digest).here()), 'RS256 does not sign as RFC 7515 §A.2 does');
  testVerification(key, { algorithm, digest, signature: known });
}

function testPssSignature(key: OpenSslKey): void {
  const algorithm = signatureRow('PS256');
  const digest = sha256(rs256.input);
  const signature = key.sign(algorithm, digest).here();
  const publicKey = createPublicKey({ key: rsaJwk, format: 'jwk' });
  const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
  const isGood = verify('sha256', Buffer.from(rs256.input), { key: publicKey, ...pss }, signature);
  must(isGood, 'PS256 is not verified by node:crypto');
  testVerification(key, { algorithm, digest, signature });
}

function testEcdsa(key: OpenSslKey): void {
  const algorithm = signatureRow('ES256');
  const digest = sha256(es256.input);
  testVerification(key, { algorithm, digest, signature: Buffer.from(es256.signature, 'base64url') });
  const signature = key.sign(algorithm, digest).here();
  const publicKey = createPublicKey({ key: ecJwk, format: 'jwk' });
  const form = { key: publicKey, dsaEncoding: 'ieee-p1363' } as const;
  must(verify('sha256', Buffer.from(es256.input), form, signature), 'ES256 is not verified by node:crypto');
  testVerification(key, { algorithm, digest, signature });
}

function testVerification(
  key: OpenSslKey,
  good: { algorithm: SignatureAlgorithm; digest: Uint8Array; signature: Uint8Array },
): void {
  const { algorithm, digest, signature } = good;
  const isTaken = (of: Uint8Array, by: Uint8Array) => key.verify(algorithm, of, by)?.here() === true;
  must(isTaken(digest, signature), `${algorithm.name} refuses a good signature`);
  must(!isTaken(digest, altered(signature)), `${algorithm.name} takes an altered signature`);
  must(!isTaken(altered(digest), signature), `${algorithm.name} takes a signature of another digest`);
}

function testOaep(key: OpenSslKey, hash: HashName): void {
  const publicKey = createPublicKey({ key: rsaJwk, format: 'jwk' });
  const oaep = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: hash };
  const ciphertext = publicEncrypt({ key: publicKey, ...oaep }, secret);
  const algorithm = { scheme: 'rsa-oaep', hash } as const;
  must(opensTo(key, algorithm, ciphertext)?.equals(secret), `OAEP with ${hash} does not decrypt`);
  must(opensTo(key, algorithm, altered(ciphertext)) === undefined, `OAEP with ${hash} takes an altered text`);
}

/** The wrong padding shows whether implicit rejection is really off: with it, every ciphertext opens to something. */
function testPkcs1Decryption(key: OpenSslKey): void {
  const algorithm = findEncryptionAlgorithm('RSA1_5');
  if (algorithm === undefined) throw new Error('RSA1_5 is not in the table');
  const publicKey = createPublicKey({ key: rsaJwk, format: 'jwk' });
  const ciphertext = publicEncrypt({ key: publicKey, padding: constants.RSA_PKCS1_PADDING }, secret);
  must(opensTo(key, algorithm, ciphertext)?.equals(secret), 'RSA1_5 does not decrypt');
  const wrong = Buffer.concat([Buffer.of(0, 1), Buffer.alloc(200, 0xff), Buffer.of(0), Buffer.alloc(53)]);
  const unpadded = publicEncrypt({ key: publicKey, padding: constants.RSA_NO_PADDING }, wrong);
  must(opensTo(key, algorithm, unpadded) === undefined, 'RSA1_5 takes a wrong padding');
}

function opensTo(key: OpenSslKey, algorithm: DecryptionAlgorithm, ciphertext: Uint8Array) {
  const plaintext = key.decrypt(algorithm, ciphertext).here();
  return plaintext === undefined ? undefined : Buffer.from(plaintext);
}

function signatureRow(name: string): SignatureAlgorithm {
  const row = findSignatureAlgorithm(name);
  if (row === undefined) throw new Error(`${name} is not in the table`);
  return row;
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** One bit of the last octet. */
function altered(bytes: Uint8Array): Buffer {
  const copy = Buffer.from(bytes);
  copy[copy.length - 1] = (copy.at(-1) ?? 0) ^ 1;
  return copy;
}

function must(holds: boolean | undefined, otherwise: string): void {
  if (holds !== true) throw new Error(otherwise);
}
