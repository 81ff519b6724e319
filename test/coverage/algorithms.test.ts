/** Proves that the page of algorithms says what the code does, and that every name stands once. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { encryptionAlgorithms, signatureAlgorithms } from '../../src/crypto/algorithms.ts';
import { algorithmMatrix, algorithmsPage } from '../support/algorithm-matrix.ts';

test('docs/algorithms.md says what the rows say', () => {
  expect(readFileSync(algorithmsPage, 'utf8'), 'look at the difference: node scripts/golden.ts').toBe(
    algorithmMatrix(),
  );
});

test('every algorithm of the API has its row', () => {
  const api = {
    signatures: 'PS256 PS384 PS512 RS256 RS384 RS512 HS256 HS384 HS512 ES256 ES384 ES512 ES256K',
    encryption:
      'RSA-OAEP RSA-OAEP-256 RSA1_5 A128GCM A192GCM A256GCM A128KW A192KW A256KW A128CBC A192CBC A256CBC A128CBCPAD A192CBCPAD A256CBCPAD A128KWPAD A192KWPAD A256KWPAD CKM_AES_KEY_WRAP CKM_AES_KEY_WRAP_PAD',
  };
  const names = (rows: readonly { name: string }[]) => rows.map((row) => row.name).sort();
  const postQuantum = ['ML-DSA-44', 'ML-DSA-65', 'ML-DSA-87'];
  expect(names(signatureAlgorithms)).toEqual([...api.signatures.split(' '), ...postQuantum].sort());
  expect(names(encryptionAlgorithms)).toEqual(api.encryption.split(' ').sort());
});
