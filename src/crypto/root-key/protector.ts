/**
 * What stands between the root key and its file. A protector is chosen when the file is made and named in it;
 * PKCS#11 tokens, Shamir shares and other vaults join as further protectors.
 */
import { argon2 } from 'node:crypto';
import { promisify } from 'node:util';
import type { Random } from '../../core/random.ts';
import type { SecretBytes } from '../../core/secret-bytes.ts';
import { SecretBytes as Bytes } from '../../core/secret-bytes.ts';
import { open, SealBroken, type SealingKey, seal, sealingKey, sealingKeyLength } from '../sealing.ts';

/** Argon2id parameters (RFC 9106): memory in KiB, salt as base64url. */
export interface KdfParameters {
  readonly name: 'argon2id';
  readonly memory: number;
  readonly passes: number;
  readonly parallelism: number;
  readonly salt: string;
}

export interface Protector {
  readonly name: 'file' | 'passphrase';
  readonly kdf: KdfParameters | undefined;
  protect(keyId: string, key: SecretBytes, random: Random): Uint8Array;
  /** Throws `ProtectorFailure` when the stored form does not open. */
  unprotect(keyId: string, stored: Uint8Array): SecretBytes;
}

/** How to get at a protector: for a new file, and for one whose header names its parameters. */
export interface RootKeyProtection {
  create(random: Random): Promise<Protector>;
  open(header: { protector: Protector['name']; kdf?: KdfParameters | undefined }): Promise<Protector>;
}

/** A passphrase that is missing or wrong; the message is for people. */
export class ProtectorFailure extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ProtectorFailure';
  }
}

export const fileProtector: Protector = {
  name: 'file',
  kdf: undefined,
  protect: (_keyId, key) => key.exposeBytes(),
  unprotect: (_keyId, stored) => new Bytes(stored),
};

/** The key in clear in a file of mode 0600: the embedded default. */
export const fileProtection: RootKeyProtection = {
  create: async () => fileProtector,
  open: async (header) => {
    if (header.protector === 'passphrase') {
      throw new ProtectorFailure(
        'the root key is protected by a passphrase. Give it in STRONGROOM_PASSPHRASE or with --passphrase-file.',
      );
    }
    return fileProtector;
  },
};

/** RFC 9106 §4, second recommended option: 64 MiB, 3 passes, 4 lanes. */
const recommended = { memory: 64 * 1024, passes: 3, parallelism: 4 };
const shortestPassphrase = 12;

/** The key sealed under Argon2id of a passphrase (RFC 9106); refuses passphrases of fewer than 12 bytes. */
export function passphraseProtection(passphrase: SecretBytes): RootKeyProtection {
  return {
    create: async (random) => {
      if (passphrase.length < shortestPassphrase) {
        throw new ProtectorFailure(`a passphrase needs at least ${shortestPassphrase} bytes.`);
      }
      const salt = Buffer.from(random.bytes(16)).toString('base64url');
      return sealedBy(passphrase, { name: 'argon2id', ...recommended, salt });
    },
    open: async (header) => {
      if (header.protector === 'file') return fileProtector;
      if (header.kdf === undefined)
        throw new ProtectorFailure('the file does not say how its key is protected.');
      return sealedBy(passphrase, header.kdf);
    },
  };
}

async function sealedBy(passphrase: SecretBytes, kdf: KdfParameters): Promise<Protector> {
  const derived = await promisify(argon2)('argon2id', {
    message: passphrase.exposeBytes(),
    nonce: Buffer.from(kdf.salt, 'base64url'),
    memory: kdf.memory,
    passes: kdf.passes,
    parallelism: kdf.parallelism,
    tagLength: sealingKeyLength,
  });
  const key: SealingKey = sealingKey('passphrase', new Bytes(derived));
  return {
    name: 'passphrase',
    kdf,
    protect: (keyId, root, random) => seal(key, root, { identity: `root-key|${keyId}`, random }),
    unprotect: (keyId, stored) => {
      try {
        return open(key, stored, `root-key|${keyId}`);
      } catch (error) {
        if (error instanceof SealBroken)
          throw new ProtectorFailure('the passphrase is wrong, or the file is damaged.');
        throw error;
      }
    },
  };
}
